-- Companies of which rows at or below their floor may still be there: a prune is deleting them, or was ended on the way.
-- No question reaches such rows. The next prune of the company goes on. See kvot/stores/sqlite/sweep.py.

CREATE TABLE sweep(
  company_no INTEGER PRIMARY KEY,
  floor_at   INTEGER NOT NULL              -- as raised by the prune that made the row, or the last of several
) STRICT;
