"""Measurements, one module per question. `make bench` answers all, `make bench ARGS="usage import"` some."""
