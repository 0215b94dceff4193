-- Companies' own keys to providers, sealed: what is here opens with the server's secret alone, and only for this company
-- and this provider. See kvot/operations/sealing.py.

CREATE TABLE provider_key(
  company_id BLOB NOT NULL,                 -- the GUID's sixteen bytes: a key makes no company
  provider   TEXT NOT NULL,
  sealed     BLOB NOT NULL,
  set_at     INTEGER NOT NULL,
  set_by     TEXT NOT NULL,
  PRIMARY KEY(company_id, provider)
) STRICT, WITHOUT ROWID;
