"""HTTP: the only room that knows ASGI. It finds the operation and who is calling, and leaves the rest to others."""
