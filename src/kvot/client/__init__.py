"""Talking to a running server. Requests and replies are made and read without I/O; a thin shell carries them."""
