-- The ledger on PostgreSQL: its tables. What the numbers mean: docs/internals/ledger.md.
--
-- company_id leads every key, so that the tables can be distributed by it (citus.sql); what belongs to no company
-- (api_key, keys_version, key_audit, schema_version) is small. Instants are milliseconds since the epoch. Ids compare
-- byte by byte (COLLATE "C"), as they do in every other engine.

CREATE TYPE kvot.source AS ENUM ('reported', 'estimated', 'partial', 'corrected', 'imported');
CREATE TYPE kvot.kind AS ENUM ('usage', 'settlement', 'expiry', 'correction');
CREATE TYPE kvot.hold_state AS ENUM ('open', 'settled', 'released', 'expired', 'charged');

-- The one row that every write of a company locks. Half of each page is left free, so that its many versions stay there.
CREATE TABLE kvot.company(
  company_id   uuid PRIMARY KEY,
  clock        bigint NOT NULL,             -- the latest time of any write
  head_at      bigint NOT NULL DEFAULT 0,   -- the last chain point
  head_cum     bigint NOT NULL DEFAULT 0,
  floor_at     bigint NOT NULL DEFAULT 0,   -- all at or before it is forgotten; 0: nothing ever was
  floor_cum    bigint NOT NULL DEFAULT 0,   -- the chain's total at the floor
  floor_late   bigint NOT NULL DEFAULT 0,   -- the sidecar's tokens at or before the floor
  late_events  bigint NOT NULL DEFAULT 0,   -- how many events ever went to the sidecar; 0: it need not be read
  late_tokens  bigint NOT NULL DEFAULT 0,   -- and their tokens, forgotten ones too
  held         bigint NOT NULL DEFAULT 0,   -- tokens of all open holds
  due_at       bigint,                      -- no open hold expires before it; NULL: none is open
  hold_span_ms bigint NOT NULL DEFAULT 0,   -- the longest any hold has had from its making to its expiry
  in_doubt     boolean NOT NULL DEFAULT false,  -- the last verification found a difference
  token_limit  integer,                     -- the last line of its budget history; NULL: the default budget holds
  window_days  integer
) WITH (fillfactor = 50);

CREATE TABLE kvot.budget(
  company_id   uuid NOT NULL,
  seq          bigint NOT NULL,
  effective_at bigint NOT NULL,
  token_limit  integer NOT NULL,
  window_days  integer NOT NULL,
  actor        text NOT NULL,
  reason       text,
  PRIMARY KEY (company_id, seq)
);

-- The chain: the running total at each millisecond that has events which came in order.
CREATE TABLE kvot.point(
  company_id uuid NOT NULL,
  at         bigint NOT NULL,
  cum        bigint NOT NULL,
  PRIMARY KEY (company_id, at)
);

-- The sidecar: tokens that did not come in order, once on every level. A slot of a level covers 256 of the one below.
CREATE TABLE kvot.late(
  company_id uuid NOT NULL,
  level      smallint NOT NULL,
  slot       bigint NOT NULL,
  tokens     bigint NOT NULL,
  PRIMARY KEY (company_id, level, slot)
) WITH (fillfactor = 80);

-- Who made which call: one row for each combination that a company's events carry. Number 0 means "does not say".
-- The digest is of the labels; four texts of 255 characters are longer than an index takes.
CREATE TABLE kvot.label_set(
  company_id   uuid NOT NULL,
  label_set_no integer NOT NULL,
  digest       bytea NOT NULL,
  labels       text[] NOT NULL,             -- provider, model, user, feature
  PRIMARY KEY (company_id, label_set_no),
  UNIQUE (company_id, digest)
);

CREATE TABLE kvot.event(
  company_id       uuid NOT NULL,
  event_id         text COLLATE "C" NOT NULL,
  at               bigint NOT NULL,
  tokens           bigint NOT NULL,
  at_given         boolean NOT NULL,
  kind             kvot.kind NOT NULL,
  source           kvot.source NOT NULL,
  label_set_no     integer NOT NULL,
  input_tokens     bigint,
  output_tokens    bigint,
  cached_tokens    bigint,
  reasoning_tokens bigint,
  ref              text COLLATE "C",
  reason           text,
  PRIMARY KEY (company_id, event_id)
);

CREATE INDEX event_ref ON kvot.event(company_id, ref) WHERE ref IS NOT NULL;

CREATE TABLE kvot.hold(
  company_id       uuid NOT NULL,
  hold_id          text COLLATE "C" NOT NULL,
  amount           bigint NOT NULL,
  ttl_ms           bigint NOT NULL,         -- as first asked for
  dispatched_asked boolean NOT NULL,        -- as first asked for
  dispatched       boolean NOT NULL,
  label_set_no     integer NOT NULL,
  created_at       bigint NOT NULL,
  expires_at       bigint NOT NULL,
  state            kvot.hold_state NOT NULL DEFAULT 'open',
  closed_at        bigint,
  actual           bigint,
  settlement       text,                    -- what settle was asked, for retries: a JSON array
  PRIMARY KEY (company_id, hold_id)
) WITH (fillfactor = 80);

CREATE INDEX hold_open ON kvot.hold(company_id, expires_at) WHERE state = 'open';
CREATE INDEX hold_created ON kvot.hold(company_id, created_at);

CREATE TABLE kvot.rollup(
  company_id    uuid NOT NULL,
  hour          bigint NOT NULL,
  label_set_no  integer NOT NULL,
  source        kvot.source NOT NULL,
  events        bigint NOT NULL,
  tokens        bigint NOT NULL,
  input_tokens  bigint NOT NULL,
  output_tokens bigint NOT NULL,
  PRIMARY KEY (company_id, hour, label_set_no, source)
) WITH (fillfactor = 80);

-- What people changed of a company, each line bound by its hash to all of that company before it.
CREATE TABLE kvot.audit(
  company_id uuid NOT NULL,
  seq        bigint NOT NULL,
  at         bigint NOT NULL,
  actor      text NOT NULL,
  action     text NOT NULL,
  subject    text NOT NULL,
  detail     jsonb NOT NULL,
  hash       bytea NOT NULL,
  PRIMARY KEY (company_id, seq)
);

-- What belongs to no company.

CREATE TABLE kvot.api_key(
  key_id      text COLLATE "C" PRIMARY KEY,
  secret_hash bytea NOT NULL,
  company_id  uuid,
  roles       text[] NOT NULL,
  name        text,
  created_at  bigint NOT NULL,
  created_by  text NOT NULL,
  expires_at  bigint,
  revoked_at  bigint,
  networks    text[] NOT NULL
);

-- Counts the changes of keys. Its one row is also the lock under which they, and their audit, follow one another.
CREATE TABLE kvot.keys_version(
  one     boolean PRIMARY KEY CHECK (one),
  version bigint NOT NULL
);

INSERT INTO kvot.keys_version VALUES (true, 0);

-- What people changed of keys, bound as kvot.audit is.
CREATE TABLE kvot.key_audit(
  seq        bigint PRIMARY KEY,
  at         bigint NOT NULL,
  actor      text NOT NULL,
  action     text NOT NULL,
  company_id uuid,
  subject    text NOT NULL,
  detail     jsonb NOT NULL,
  hash       bytea NOT NULL
);

-- Guards against other programs and against ourselves. A distributed table has none: citus.sql takes them away.

CREATE FUNCTION kvot.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON kvot.event
  FOR EACH STATEMENT EXECUTE FUNCTION kvot.refuse_change();
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR DELETE ON kvot.audit
  FOR EACH STATEMENT EXECUTE FUNCTION kvot.refuse_change();
CREATE TRIGGER key_audit_is_never_changed BEFORE UPDATE OR DELETE ON kvot.key_audit
  FOR EACH STATEMENT EXECUTE FUNCTION kvot.refuse_change();
