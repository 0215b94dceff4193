"""The rules of the ledger: values in, values out. No I/O, no clock, no framework, no dependency."""
