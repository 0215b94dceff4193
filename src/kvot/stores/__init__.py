"""The engines that keep the ledger: one module each, all held to tests/conformance."""
