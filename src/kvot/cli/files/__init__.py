"""Reading usage from files: CSV, JSON Lines and JSON arrays into rows to import. Reads only; counts nothing."""
