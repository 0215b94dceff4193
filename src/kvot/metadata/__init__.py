"""What the service says of itself: pages, metadata, OpenAPI, classes in every language. Made from the contract alone.

Everything here is a function of its arguments: it takes the contract, options, an address and a time, and returns text
or plain values. It never calls an operation and never reads a clock, a setting or a file but its own templates.
"""
