"""Passes calls to providers of models through, metered and held to each company's budget: docs/internals/gateway.md."""
