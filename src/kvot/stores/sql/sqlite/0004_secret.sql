-- What tells the secret that keys are made under from another: an HMAC of fixed words. Nothing opens or proves with it.

CREATE TABLE secret_check(
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  digest BLOB NOT NULL
) STRICT;
