"""Bytes to values and back: formats, negotiation, binding. Never does I/O, never reads a clock, never logs."""
