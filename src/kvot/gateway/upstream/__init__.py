"""The way to providers: the port that calls go through, and our own HTTP/1.1 client behind it."""
