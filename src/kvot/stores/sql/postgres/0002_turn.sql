-- What every operation works on: a turn is a company's row, the rules, and what has come of the operation so far.
--
-- A function that begins with `do_` takes a turn and what was asked (a JSON object) and returns the turn after it.
-- Functions that only read are STABLE: called from a read they all see the snapshot of the one statement that called
-- them, called from a write they see what it has written.

CREATE TYPE kvot.turn AS (
  company_id    uuid,
  clock         bigint,
  head_at       bigint,
  head_cum      bigint,
  floor_at      bigint,
  floor_cum     bigint,
  floor_late    bigint,
  late_events   bigint,
  late_tokens   bigint,
  held          bigint,
  due_at        bigint,
  hold_span_ms  bigint,
  in_doubt      boolean,
  token_limit   integer,     -- the budget of the clock, the default where the company has none
  window_days   integer,
  has_budget    boolean,
  default_limit integer,
  default_days  integer,
  retention_ms  bigint,
  future_max_ms bigint,
  now_ms        bigint,      -- the time of the operation; the clock may be ahead of it
  status        text,
  event_at      bigint,
  fits_at       bigint,
  hold          kvot.hold,
  note          jsonb,
  error         text         -- why the question reaches below what is kept
);

-- The time of an operation: the database's, but never further than drift_max_ms from the caller's own steady clock.
-- With 0 the caller's time is the time.
CREATE FUNCTION kvot.time_of(given_ms bigint, drift_max_ms bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT greatest(given_ms - drift_max_ms, least(given_ms + drift_max_ms,
    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint))
$$;

-- A turn of a company's row, or of a company that never wrote. rules: the default limit and days, retention_ms,
-- future_max_ms.
-- In SQL, as all that is one expression: it becomes part of the expression that calls it, while each call of plpgsql copies
-- the turn.
CREATE FUNCTION kvot.turn_of(c kvot.company, rules bigint[], now_ms bigint) RETURNS kvot.turn LANGUAGE sql IMMUTABLE AS $$
  SELECT ROW(c.company_id, greatest(c.clock, now_ms), coalesce(c.head_at, 0), coalesce(c.head_cum, 0),
    coalesce(c.floor_at, 0), coalesce(c.floor_cum, 0), coalesce(c.floor_late, 0), coalesce(c.late_events, 0),
    coalesce(c.late_tokens, 0), coalesce(c.held, 0), c.due_at, coalesce(c.hold_span_ms, 0), coalesce(c.in_doubt, false),
    coalesce(c.token_limit, rules[1]), coalesce(c.window_days, rules[2]), c.token_limit IS NOT NULL,
    rules[1], rules[2], rules[3], rules[4], now_ms, NULL, NULL, NULL, NULL, NULL, NULL)::kvot.turn
$$;

-- The company for a read at a time. It may never have written.
CREATE FUNCTION kvot.look(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint) RETURNS kvot.turn
LANGUAGE plpgsql STABLE AS $$
DECLARE
  c kvot.company;
BEGIN
  SELECT * INTO c FROM kvot.company WHERE company_id = p_company;
  c.company_id := p_company;
  RETURN kvot.turn_of(c, rules, kvot.time_of(given_ms, drift_max_ms));
END $$;

-- The company for a write: made if need be, and locked until the transaction ends.
--
-- The lock is a statement of its own and what it protects is read in later ones. Under READ COMMITTED each of them sees
-- what was committed before the lock was given; a statement that locks and reads sees what was committed before it
-- began to wait.
CREATE FUNCTION kvot.need_read_committed() RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'The ledger is written in READ COMMITTED only.' USING ERRCODE = 'KV002';
  END IF;
END $$;

CREATE FUNCTION kvot.take(p_company uuid, rules bigint[]) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  c kvot.company;
BEGIN
  SELECT * INTO c FROM kvot.company WHERE company_id = p_company FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO kvot.company(company_id, clock) VALUES (p_company, 0) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT c FROM kvot.company WHERE company_id = p_company FOR UPDATE;
  END IF;
  RETURN kvot.turn_of(c, rules, c.clock);
END $$;

-- The same for a company that no other transaction has, and of which no hold is due by an instant: its company_id is NULL
-- if it is not so, or if the company never wrote. It waits for nobody.
CREATE FUNCTION kvot.take_free(p_company uuid, rules bigint[], by_ms bigint) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  c kvot.company;
BEGIN
  SELECT * INTO c FROM kvot.company WHERE company_id = p_company AND coalesce(due_at > by_ms, true)
    FOR UPDATE SKIP LOCKED;
  RETURN kvot.turn_of(c, rules, c.clock);
END $$;

-- Write a turn to its company's row, and give it back: an assignment is an expression and costs less than a statement.
CREATE FUNCTION kvot.save(t kvot.turn) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  UPDATE kvot.company SET clock = t.clock, head_at = t.head_at, head_cum = t.head_cum, floor_at = t.floor_at,
    floor_cum = t.floor_cum, floor_late = t.floor_late, late_events = t.late_events, late_tokens = t.late_tokens,
    held = t.held, due_at = t.due_at, hold_span_ms = t.hold_span_ms, in_doubt = t.in_doubt,
    token_limit = CASE WHEN t.has_budget THEN t.token_limit END,
    window_days = CASE WHEN t.has_budget THEN t.window_days END
  WHERE company_id = t.company_id;
  RETURN t;
END $$;

-- Why what lies later than an instant cannot all be told; NULL if it can.
CREATE FUNCTION kvot.beyond(t kvot.turn, after_ms bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN t.floor_at > 0 AND after_ms < t.floor_at
    THEN format('Detail at or before %s ms is no longer kept.', t.floor_at) END
$$;

CREATE FUNCTION kvot.need_kept(t kvot.turn, after_ms bigint) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF t.floor_at > 0 AND after_ms < t.floor_at THEN
    RAISE EXCEPTION '%', kvot.beyond(t, after_ms) USING ERRCODE = 'KV001';
  END IF;
END $$;
