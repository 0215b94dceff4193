-- The embedded ledger. What the numbers mean: docs/internals/ledger.md.
--
-- A company's number (company_no) stands for its GUID everywhere but here and in api_key: it leads every key, and one
-- byte in each row instead of sixteen is what keeps an event small. Instants are milliseconds since the epoch.
-- Ids are ANY: a canonical lower-case UUID is kept as its sixteen bytes, every other id as its text.

CREATE TABLE company(
  company_id   BLOB PRIMARY KEY,            -- the GUID's sixteen bytes
  company_no   INTEGER NOT NULL UNIQUE,
  clock        INTEGER NOT NULL,            -- the latest now_ms of any write
  head_at      INTEGER NOT NULL DEFAULT 0,  -- the last chain point
  head_cum     INTEGER NOT NULL DEFAULT 0,
  floor_at     INTEGER NOT NULL DEFAULT 0,  -- all at or before it is forgotten; 0: nothing ever was
  floor_cum    INTEGER NOT NULL DEFAULT 0,  -- the chain's total at the floor
  floor_late   INTEGER NOT NULL DEFAULT 0,  -- the sidecar's tokens at or before the floor
  late_events  INTEGER NOT NULL DEFAULT 0,  -- how many events ever went to the sidecar; 0: it need not be read
  late_tokens  INTEGER NOT NULL DEFAULT 0,  -- and their tokens, forgotten ones too
  held         INTEGER NOT NULL DEFAULT 0,  -- tokens of all holds in state 0
  due_at       INTEGER,                     -- no open hold expires before it; NULL: none is open
  hold_span_ms INTEGER NOT NULL DEFAULT 0,  -- the longest any hold has had from its making to its expiry
  in_doubt     INTEGER NOT NULL DEFAULT 0,  -- the last verification found a difference
  token_limit  INTEGER,                     -- the last line of its budget history; NULL: the default budget holds
  window_days  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE budget(
  company_no   INTEGER NOT NULL,
  seq          INTEGER NOT NULL,
  effective_at INTEGER NOT NULL,
  token_limit  INTEGER NOT NULL,
  window_days  INTEGER NOT NULL,
  actor        TEXT NOT NULL,
  reason       TEXT,
  PRIMARY KEY(company_no, seq)
) STRICT, WITHOUT ROWID;

-- The chain: the running total at each millisecond that has events which came in order.
CREATE TABLE point(
  company_no INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  cum        INTEGER NOT NULL,
  PRIMARY KEY(company_no, at)
) STRICT, WITHOUT ROWID;

-- The sidecar: tokens that did not come in order, once on every level.
CREATE TABLE late(
  company_no INTEGER NOT NULL,
  level      INTEGER NOT NULL,
  slot       INTEGER NOT NULL,
  tokens     INTEGER NOT NULL,
  PRIMARY KEY(company_no, level, slot)
) STRICT, WITHOUT ROWID;

-- Who made which call: one row for each combination that a company's events carry. Number 0 means "does not say".
CREATE TABLE label_set(
  company_no   INTEGER NOT NULL,
  label_set_no INTEGER NOT NULL,
  provider     TEXT,
  model        TEXT,
  user         TEXT,
  feature      TEXT,
  PRIMARY KEY(company_no, label_set_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX label_set_labels ON label_set(company_no, user, model, feature, provider);

CREATE TABLE event(
  company_no       INTEGER NOT NULL,
  event_id         ANY NOT NULL,
  at               INTEGER NOT NULL,
  tokens           INTEGER NOT NULL,
  at_given         INTEGER NOT NULL,
  kind             INTEGER NOT NULL,
  source           INTEGER NOT NULL,
  label_set_no     INTEGER NOT NULL,
  input_tokens     INTEGER,
  output_tokens    INTEGER,
  cached_tokens    INTEGER,
  reasoning_tokens INTEGER,
  ref              ANY,
  reason           TEXT,
  PRIMARY KEY(company_no, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_ref ON event(company_no, ref) WHERE ref IS NOT NULL;

CREATE TRIGGER event_is_immutable BEFORE UPDATE ON event
BEGIN SELECT raise(ABORT, 'an event is never changed'); END;

CREATE TABLE hold(
  company_no       INTEGER NOT NULL,
  hold_id          ANY NOT NULL,
  amount           INTEGER NOT NULL,
  ttl_ms           INTEGER NOT NULL,           -- as first asked for
  dispatched_asked INTEGER NOT NULL,           -- as first asked for
  dispatched       INTEGER NOT NULL,
  label_set_no     INTEGER NOT NULL,
  created_at       INTEGER NOT NULL,
  expires_at       INTEGER NOT NULL,
  state            INTEGER NOT NULL,
  closed_at        INTEGER,
  actual           INTEGER,
  settlement       TEXT,                       -- what settle was asked, for retries: a JSON array
  PRIMARY KEY(company_no, hold_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX hold_open ON hold(company_no, expires_at) WHERE state = 0;
CREATE INDEX hold_created ON hold(company_no, created_at);

CREATE TABLE rollup(
  company_no    INTEGER NOT NULL,
  hour          INTEGER NOT NULL,
  label_set_no  INTEGER NOT NULL,
  source        INTEGER NOT NULL,
  events        INTEGER NOT NULL,
  tokens        INTEGER NOT NULL,
  input_tokens  INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  PRIMARY KEY(company_no, hour, label_set_no, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key(
  seq         INTEGER PRIMARY KEY,
  key_id      TEXT NOT NULL UNIQUE,
  secret_hash BLOB NOT NULL,
  company_id  BLOB,
  roles       TEXT NOT NULL,                   -- a JSON array
  name        TEXT,
  created_at  INTEGER NOT NULL,
  created_by  TEXT NOT NULL,
  expires_at  INTEGER,
  revoked_at  INTEGER,
  networks    TEXT NOT NULL                    -- a JSON array
) STRICT;

CREATE INDEX api_key_company ON api_key(company_id);

-- What people changed, each line bound to all before it by its hash.
CREATE TABLE audit(
  seq        INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,
  actor      TEXT NOT NULL,
  action     TEXT NOT NULL,
  company_id BLOB,
  subject    TEXT NOT NULL,
  detail     TEXT NOT NULL,
  hash       BLOB NOT NULL
) STRICT;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
