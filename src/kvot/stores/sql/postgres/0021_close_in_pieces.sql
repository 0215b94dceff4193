-- A company whose due holds are more than one transaction can close has them closed in pieces, each a transaction of its own.
--
-- Every write closes what is due first, and all of it: nothing after it meets a hold that is open and due. Where that
-- would be more than a piece the write is refused (KV003), and nothing is done; whoever is refused so closes pieces until
-- none is left, and writes again. What is closed stays closed, so that any number of them comes to its end.

-- A piece: 25 ms on two shared cores, for which another write of the company may have to wait.
CREATE FUNCTION kvot.closings_max() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 500 $$;

-- The function of 0006_holds, for a piece at the most. note: how many.
CREATE OR REPLACE FUNCTION kvot.close_due(t kvot.turn) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  t := kvot.close_some(t, kvot.closings_max());
  IF t.due_at <= t.clock AND (t.note->'closed')::integer = kvot.closings_max() THEN
    RAISE EXCEPTION 'More holds are due than a write closes.' USING ERRCODE = 'KV003', DETAIL = t.company_id::text;
  END IF;
  RETURN t;
END $$;

-- Close the due holds in order of expiry, then of id, so many at the most. note: how many.
CREATE FUNCTION kvot.close_some(t kvot.turn, closings_max integer) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  due kvot.hold[];
  h kvot.hold;
BEGIN
  SELECT array_agg(o.h) INTO due FROM (
    SELECT d AS h FROM kvot.hold d WHERE d.company_id = t.company_id AND d.state = 'open' AND d.expires_at <= t.clock
      ORDER BY d.expires_at, d.hold_id LIMIT closings_max) o;
  IF cardinality(due) > 1 AND kvot.has_room_for_all(t, due) THEN
    t := kvot.run_out_all(t, due);
  ELSIF due IS NOT NULL THEN
    FOREACH h IN ARRAY due LOOP
      t := kvot.run_out(t, h);
    END LOOP;
  END IF;
  SELECT min(d.expires_at) INTO t.due_at FROM kvot.hold d WHERE d.company_id = t.company_id AND d.state = 'open';
  t.note := jsonb_build_object('closed', coalesce(cardinality(due), 0));
  RETURN t;
END $$;

-- Whether the chain alone and the total of all time take the charges of all.
CREATE FUNCTION kvot.has_room_for_all(t kvot.turn, due kvot.hold[]) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT sum(h.amount) <= 9223372036854775807 - greatest(t.head_cum, t.head_cum::numeric + t.late_tokens) FROM unnest(due) h
$$;

-- What kvot.run_out does for one, each table written with one statement: the rollup's row of a label and an hour, and the
-- sidecar's slots, would have a version for each hold, and each next one would walk over those before it.
CREATE FUNCTION kvot.run_out_all(t kvot.turn, due kvot.hold[]) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  charges kvot.event[];
BEGIN
  WITH entered AS (
    INSERT INTO kvot.event AS e (company_id, event_id, at, tokens, at_given, kind, source, label_set_no)
      SELECT t.company_id, 'hold→' || h.hold_id, h.expires_at, h.amount, false, 'expiry', 'estimated', h.label_set_no
        FROM unnest(due) h WHERE h.dispatched
      RETURNING e AS charge)
    SELECT array_agg(c.charge) INTO charges FROM entered c;
  IF charges IS NOT NULL THEN
    INSERT INTO kvot.rollup AS r
      SELECT t.company_id, e.at / 3600000, e.label_set_no, e.source, count(*), sum(e.tokens), 0, 0
        FROM unnest(charges) e GROUP BY 2, 3, 4
      ON CONFLICT (company_id, hour, label_set_no, source) DO UPDATE SET events = r.events + excluded.events,
        tokens = r.tokens + excluded.tokens;
    t := kvot.post_all(t, charges);
  END IF;
  UPDATE kvot.hold d SET state = CASE WHEN d.dispatched THEN 'charged' ELSE 'expired' END::kvot.hold_state,
      closed_at = d.expires_at
    WHERE d.company_id = t.company_id AND d.hold_id = ANY (ARRAY(SELECT h.hold_id FROM unnest(due) h));
  t.held := t.held - (SELECT sum(h.amount) FROM unnest(due) h);
  RETURN t;
END $$;

-- Close one piece, in a transaction of its own. closed: how many; is_done: none that is due is left.
CREATE FUNCTION kvot.close_piece(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, OUT closed integer,
  OUT is_done boolean)
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.take(p_company, rules);
BEGIN
  PERFORM kvot.need_read_committed();
  t.now_ms := kvot.time_of(given_ms, drift_max_ms);
  t.clock := greatest(t.clock, t.now_ms);
  t := kvot.save(kvot.close_some(t, kvot.closings_max()));
  closed := t.note->'closed';
  is_done := closed < kvot.closings_max();
END $$;
