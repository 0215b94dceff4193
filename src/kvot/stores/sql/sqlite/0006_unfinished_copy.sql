-- A row as long as a copy into this database has begun and is not finished: companies are complete, but not all are
-- here. See kvot/stores/unfinished.py.

CREATE TABLE unfinished_copy(
  one INTEGER PRIMARY KEY CHECK (one = 1)
) STRICT;
