"""Replies read as they pass: their events, lines and elements, and what they say of tokens. Nothing here does I/O."""
