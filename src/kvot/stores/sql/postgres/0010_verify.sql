-- Recomputes every kept number of one company from its events, holds and history, and names what differs.
--
-- Reads only, in one snapshot; the verdict is written by do_doubt. The first row counts: its place is empty, kept is the
-- number of events, recomputed their tokens, was_in_doubt the verdict so far. Up to 100 differences of each kind.

CREATE FUNCTION kvot.verify(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint,
  OUT place text, OUT kept bigint, OUT recomputed bigint, OUT was_in_doubt boolean) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.look(p_company, rules, given_ms, drift_max_ms);
BEGIN
  was_in_doubt := t.in_doubt;
  SELECT count(*), coalesce(sum(e.tokens), 0) INTO kept, recomputed FROM kvot.event e
    WHERE e.company_id = p_company AND e.at > kvot.kept_after(t);
  RETURN NEXT;
  RETURN QUERY SELECT d.place, d.kept, d.recomputed, t.in_doubt FROM (
    SELECT * FROM kvot.wrong_instants(t) UNION ALL SELECT * FROM kvot.wrong_slots(t)
    UNION ALL SELECT * FROM kvot.wrong_rollup(t) UNION ALL SELECT * FROM kvot.wrong_row(t)) d;
END $$;

-- What is above it is kept; what is not may be there no more: a prune deletes it at leisure. -1: nothing was ever forgotten.
CREATE FUNCTION kvot.kept_after(t kvot.turn) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN t.floor_at > 0 THEN t.floor_at ELSE -1 END
$$;

-- At every millisecond the chain's step and the sidecar's slot together are what its events say.
CREATE FUNCTION kvot.wrong_instants(t kvot.turn, OUT place text, OUT kept bigint, OUT recomputed bigint)
RETURNS SETOF record LANGUAGE plpgsql STABLE AS $$
DECLARE
  low bigint := kvot.kept_after(t);
BEGIN
  RETURN QUERY SELECT format('point and late, at %s', x.at), sum(x.kept)::bigint, sum(x.tokens)::bigint FROM (
    SELECT p.at, p.cum - lag(p.cum, 1, t.floor_cum) OVER (ORDER BY p.at) AS kept, 0 AS tokens FROM kvot.point p
      WHERE p.company_id = t.company_id AND p.at > low
    UNION ALL SELECT l.slot, l.tokens, 0 FROM kvot.late l
      WHERE l.company_id = t.company_id AND l.level = 0 AND l.slot > low
    UNION ALL SELECT e.at, 0, e.tokens FROM kvot.event e WHERE e.company_id = t.company_id AND e.at > low
  ) x GROUP BY x.at HAVING sum(x.kept) <> sum(x.tokens) LIMIT 100;
END $$;

-- Each level of the sidecar says what the one below it says.
CREATE FUNCTION kvot.wrong_slots(t kvot.turn, OUT place text, OUT kept bigint, OUT recomputed bigint)
RETURNS SETOF record LANGUAGE plpgsql STABLE AS $$
DECLARE
  low bigint := kvot.kept_after(t);
BEGIN
  FOR this_level IN 1..3 LOOP
    RETURN QUERY SELECT format('late, level %s slot %s', this_level, x.slot), sum(x.kept)::bigint, sum(x.tokens)::bigint
    FROM (
      SELECT l.slot, l.tokens AS kept, 0 AS tokens FROM kvot.late l
        WHERE l.company_id = t.company_id AND l.level = this_level AND l.slot > low >> (8 * this_level)
      UNION ALL SELECT l.slot >> 8, 0, l.tokens FROM kvot.late l
        WHERE l.company_id = t.company_id AND l.level = this_level - 1 AND l.slot > low >> (8 * this_level - 8)
    ) x GROUP BY x.slot HAVING sum(x.kept) <> sum(x.tokens) LIMIT 100;
  END LOOP;
END $$;

CREATE FUNCTION kvot.wrong_rollup(t kvot.turn, OUT place text, OUT kept bigint, OUT recomputed bigint)
RETURNS SETOF record LANGUAGE plpgsql STABLE AS $$
DECLARE
  floor_hour bigint := CASE WHEN t.floor_at > 0 THEN t.floor_at / 3600000 ELSE -1 END;
BEGIN
  RETURN QUERY SELECT format('rollup, hour %s label_set_no %s source %s %s', y.hour, y.label_set_no, y.source, m.name),
      m.kept::bigint, m.recomputed::bigint
  FROM (
    SELECT x.hour, x.label_set_no, x.source, sum(x.events) AS events, sum(x.tokens) AS tokens, sum(x.input) AS input,
      sum(x.output) AS output, sum(x.events_now) AS events_now, sum(x.tokens_now) AS tokens_now,
      sum(x.input_now) AS input_now, sum(x.output_now) AS output_now
    FROM (
      SELECT r.hour, r.label_set_no, r.source, r.events, r.tokens, r.input_tokens AS input, r.output_tokens AS output,
        0 AS events_now, 0 AS tokens_now, 0 AS input_now, 0 AS output_now
      FROM kvot.rollup r WHERE r.company_id = t.company_id AND r.hour > floor_hour
      UNION ALL
      SELECT e.at / 3600000, e.label_set_no, e.source, 0, 0, 0, 0, 1, e.tokens, coalesce(e.input_tokens, 0),
        coalesce(e.output_tokens, 0)
      FROM kvot.event e WHERE e.company_id = t.company_id AND e.at / 3600000 > floor_hour
    ) x GROUP BY x.hour, x.label_set_no, x.source
    HAVING (sum(x.events), sum(x.tokens), sum(x.input), sum(x.output))
      <> (sum(x.events_now), sum(x.tokens_now), sum(x.input_now), sum(x.output_now)) LIMIT 100
  ) y CROSS JOIN LATERAL (VALUES ('events', y.events, y.events_now), ('tokens', y.tokens, y.tokens_now),
    ('input_tokens', y.input, y.input_now), ('output_tokens', y.output, y.output_now)) m(name, kept, recomputed)
  WHERE m.kept <> m.recomputed;
END $$;

-- The company's own row says where chain and sidecar end, what is held, and which budget is the last. `due_at`,
-- `hold_span_ms` and `late_events` are bounds, wrong only when they hide something. Nothing is kept below the floor,
-- unless a prune is still deleting it.
CREATE FUNCTION kvot.wrong_row(t kvot.turn, OUT place text, OUT kept bigint, OUT recomputed bigint)
RETURNS SETOF record LANGUAGE plpgsql STABLE AS $$
DECLARE
  last kvot.point;
  slots bigint;
  late_tokens bigint;
  below bigint;
  open_amount bigint;
  first_due bigint;
  span bigint;
  line kvot.budget;
  low bigint := kvot.kept_after(t);
  is_swept boolean := NOT EXISTS (SELECT FROM kvot.sweep s WHERE s.company_id = t.company_id);
BEGIN
  SELECT * INTO last FROM kvot.point p WHERE p.company_id = t.company_id AND p.at > low ORDER BY p.at DESC LIMIT 1;
  SELECT count(*), coalesce(sum(l.tokens), 0) INTO slots, late_tokens FROM kvot.late l
    WHERE l.company_id = t.company_id AND l.level = 0 AND l.slot > low;
  SELECT count(*) INTO below FROM kvot.event e WHERE e.company_id = t.company_id AND e.at <= t.floor_at;
  SELECT coalesce(sum(h.amount), 0), min(h.expires_at) INTO open_amount, first_due FROM kvot.hold h
    WHERE h.company_id = t.company_id AND h.state = 'open';
  SELECT coalesce(max(h.expires_at - h.created_at), 0) INTO span FROM kvot.hold h WHERE h.company_id = t.company_id;
  SELECT * INTO line FROM kvot.budget b WHERE b.company_id = t.company_id ORDER BY b.seq DESC LIMIT 1;
  RETURN QUERY SELECT c.place, c.kept, c.recomputed FROM (VALUES
    ('company head_at', t.head_at, coalesce(last.at, least(t.head_at, t.floor_at)), true),
    ('company head_cum', t.head_cum, coalesce(last.cum, t.floor_cum), true),
    ('company late_tokens', t.late_tokens - t.floor_late, late_tokens, true),
    ('company late_events', t.late_events, slots, slots > t.late_events),
    ('event, at or below the floor', 0, below, t.floor_at > 0 AND is_swept),
    ('company held', t.held, open_amount, true),
    ('company due_at', t.due_at, first_due, first_due IS NOT NULL AND (t.due_at IS NULL OR t.due_at > first_due)),
    ('company hold_span_ms', t.hold_span_ms, span, span > t.hold_span_ms),
    ('company token_limit', CASE WHEN t.has_budget THEN t.token_limit END, line.token_limit, true),
    ('company window_days', CASE WHEN t.has_budget THEN t.window_days END, line.window_days, true)
  ) c(place, kept, recomputed, counts) WHERE c.counts AND c.kept IS DISTINCT FROM c.recomputed;
END $$;

-- What no ledger by itself can prove: clocks that are ahead (by more than kvot.core.clock.LEAP_MAX_MS) and, where no
-- company is named, rows of companies that have no row of their own, and the audit logs. The first row counts: its place
-- is empty, kept is the number of lines in those logs.
CREATE FUNCTION kvot.verify_shared(p_company uuid, given_ms bigint, drift_max_ms bigint,
  OUT company uuid, OUT place text, OUT kept bigint, OUT recomputed bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
  now_ms bigint := kvot.time_of(given_ms, drift_max_ms);
BEGIN
  IF p_company IS NULL THEN
    SELECT (SELECT count(*) FROM kvot.audit) + (SELECT count(*) FROM kvot.key_audit) INTO kept;
  END IF;
  RETURN NEXT;
  RETURN QUERY SELECT c.company_id, 'company clock', c.clock, now_ms FROM kvot.company c
    WHERE c.clock > now_ms + 300000 AND (p_company IS NULL OR c.company_id = p_company) ORDER BY c.company_id LIMIT 100;
  IF p_company IS NULL THEN
    RETURN QUERY SELECT * FROM kvot.stray_rows();
    RETURN QUERY SELECT log.company_id, format('audit log, line %s does not follow from those before it', log.line),
        NULL::bigint, NULL::bigint
      FROM (SELECT a.company_id, kvot.first_audit_break(a.company_id) AS line
        FROM (SELECT DISTINCT company_id FROM kvot.audit) a) log WHERE log.line IS NOT NULL ORDER BY 1 LIMIT 100;
    RETURN QUERY SELECT NULL::uuid, format('audit log of keys, line %s does not follow from those before it', log.line),
        NULL::bigint, NULL::bigint
      FROM (SELECT kvot.first_key_audit_break() AS line) log WHERE log.line IS NOT NULL;
  END IF;
END $$;

-- Up to 100 of each table.
CREATE FUNCTION kvot.stray_rows(OUT company uuid, OUT place text, OUT kept bigint, OUT recomputed bigint)
RETURNS SETOF record LANGUAGE plpgsql STABLE AS $$
DECLARE
  kept_in text;
BEGIN
  FOREACH kept_in IN ARRAY ARRAY['budget', 'point', 'late', 'label_set', 'event', 'hold', 'rollup'] LOOP
    RETURN QUERY EXECUTE format('SELECT r.company_id, %L, count(*), 0::bigint FROM kvot.%I r
      WHERE NOT EXISTS (SELECT FROM kvot.company c WHERE c.company_id = r.company_id)
      GROUP BY r.company_id ORDER BY r.company_id LIMIT 100', kept_in || ', of a company that has no row of its own', kept_in);
  END LOOP;
END $$;

-- The number of the first line of a company's audit log that does not follow from those before it; NULL if all do.
CREATE FUNCTION kvot.first_audit_break(p_company uuid) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  line kvot.audit;
  before bytea;
  expected bigint := 1;
BEGIN
  FOR line IN SELECT * FROM kvot.audit a WHERE a.company_id = p_company ORDER BY a.seq LOOP
    IF line.seq <> expected OR line.hash <> kvot.line_hash(before, line.seq, line.at, line.actor, line.action,
        line.company_id, line.subject, line.detail) THEN
      RETURN expected;
    END IF;
    before := line.hash;
    expected := expected + 1;
  END LOOP;
  RETURN NULL;
END $$;

-- The same of the audit log of keys.
CREATE FUNCTION kvot.first_key_audit_break() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  line kvot.key_audit;
  before bytea;
  expected bigint := 1;
BEGIN
  FOR line IN SELECT * FROM kvot.key_audit a ORDER BY a.seq LOOP
    IF line.seq <> expected OR line.hash <> kvot.line_hash(before, line.seq, line.at, line.actor, line.action,
        line.company_id, line.subject, line.detail) THEN
      RETURN expected;
    END IF;
    before := line.hash;
    expected := expected + 1;
  END LOOP;
  RETURN NULL;
END $$;
