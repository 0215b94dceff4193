-- Budgets and their history, and forgetting what is older than it must be.

CREATE FUNCTION kvot.budget_history(p_company uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_array(b.effective_at, b.token_limit, b.window_days, b.actor, b.reason)
    ORDER BY b.seq), '[]') FROM kvot.budget b WHERE b.company_id = p_company);
END $$;

-- asked: token_limit, window_days (null: as it is), actor, reason. note: the budget and its history.
CREATE FUNCTION kvot.do_set_budget(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  new_limit integer := coalesce((asked->>'token_limit')::integer, t.token_limit);
  new_days integer := coalesce((asked->>'window_days')::integer, t.window_days);
  change jsonb := jsonb_build_object('from', jsonb_build_array(t.token_limit, t.window_days),
    'to', jsonb_build_array(new_limit, new_days), 'reason', asked->>'reason');
BEGIN
  t.error := kvot.beyond(t, t.clock - new_days * 86400000::bigint);
  IF t.error IS NOT NULL THEN
    RETURN t;
  END IF;
  t.token_limit := new_limit;
  t.window_days := new_days;
  t.has_budget := true;
  INSERT INTO kvot.budget SELECT t.company_id, coalesce(max(b.seq), 0) + 1, t.clock, new_limit, new_days,
    asked->>'actor', asked->>'reason' FROM kvot.budget b WHERE b.company_id = t.company_id;
  PERFORM kvot.note_change(t, asked->>'actor', 'set_budget', t.company_id::text, change);
  t.status := 'done';
  t.note := jsonb_build_object('budget', jsonb_build_array(new_limit, new_days),
    'changes', kvot.budget_history(t.company_id));
  RETURN t;
END $$;

-- Companies of which rows at or below their floor may still be there: a prune is deleting them, or was ended on the way.
CREATE TABLE kvot.sweep(
  company_id uuid PRIMARY KEY,
  floor_at   bigint NOT NULL                -- as raised by the prune that made the row, or the last of several
);

-- asked: before_ms, replies_kept_ms. note: the floor, and how far down rows are still to be deleted (null: none are).
--
-- The floor is raised at once and first. From then on nothing that is counted, proved or moved reaches below it, so the
-- rows there can go at leisure: kvot.sweep_piece.
CREATE FUNCTION kvot.do_prune(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  before_ms bigint := least((asked->'before_ms')::bigint, t.clock - t.window_days * 86400000::bigint);
  floor_ms bigint := (before_ms >> 24 << 24) - 1;  -- sidecar slots go whole: see kvot.core.window.floor_before
BEGIN
  IF floor_ms > t.floor_at THEN
    t.floor_late := t.floor_late + kvot.late_between(t, t.floor_at, floor_ms);
    t.floor_cum := kvot.cum_at(t, floor_ms);
    t.floor_at := floor_ms;
    INSERT INTO kvot.sweep AS kept VALUES (t.company_id, floor_ms)
      ON CONFLICT (company_id) DO UPDATE SET floor_at = excluded.floor_at;
  END IF;
  PERFORM kvot.forget_replies(t, asked, NULL);
  t.status := 'done';
  t.note := jsonb_build_object('floor_at', t.floor_at,
    'sweep', (SELECT s.floor_at FROM kvot.sweep s WHERE s.company_id = t.company_id));
  RETURN t;
END $$;

-- Delete one piece of what lies at or below a floor, under the company's lock: as long as a piece takes, and no longer,
-- its other writes wait. Looks at up to `size` rows. part: 0 holds with their events, 1 events, 2 points, 3 to 6 the levels
-- of the sidecar, 7 rollup hours. after: the id or number to go on after ('': from the start), so that no piece walks over
-- what others deleted. After the last part nothing is left, and the row that says that something may be goes.
CREATE FUNCTION kvot.sweep_piece(p_company uuid, floor_ms bigint, part integer, after text, size integer,
  OUT next text, OUT is_done boolean, OUT events bigint)
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  from_key bigint := CASE WHEN part > 1 THEN coalesce(nullif(after, '')::bigint, -1) END;
  last_key bigint;
  hold_ids text[];
BEGIN
  PERFORM FROM kvot.company c WHERE c.company_id = p_company FOR UPDATE;
  events := 0;
  CASE part
    WHEN 0 THEN
      SELECT max(k.hold_id), count(*) < size, array_agg(k.hold_id) FILTER (WHERE k.is_forgotten)
        INTO next, is_done, hold_ids FROM (
        SELECT h.hold_id, kvot.is_forgotten(h, floor_ms) AS is_forgotten FROM kvot.hold h
          WHERE h.company_id = p_company AND h.hold_id > after ORDER BY h.hold_id LIMIT size) k;
      DELETE FROM kvot.hold h WHERE h.company_id = p_company AND h.hold_id = ANY (hold_ids);
      DELETE FROM kvot.event e WHERE e.company_id = p_company AND e.at <= floor_ms
        AND e.event_id IN (SELECT unnest(ARRAY['hold→' || u.id, 'late→' || u.id]) FROM unnest(hold_ids) u(id));
      GET DIAGNOSTICS events = ROW_COUNT;
    WHEN 1 THEN
      SELECT max(k.event_id), count(*) < size INTO next, is_done FROM (
        SELECT e.event_id FROM kvot.event e WHERE e.company_id = p_company AND e.event_id > after
          ORDER BY e.event_id LIMIT size) k;
      DELETE FROM kvot.event e WHERE e.company_id = p_company AND e.event_id > after AND e.event_id <= next
        AND e.at <= floor_ms;
      GET DIAGNOSTICS events = ROW_COUNT;
    WHEN 2 THEN  -- the oldest first: the last point that is left below the floor has the total at the floor
      SELECT max(k.at), count(*) < size INTO last_key, is_done FROM (
        SELECT p.at FROM kvot.point p WHERE p.company_id = p_company AND p.at > from_key AND p.at <= floor_ms
          ORDER BY p.at LIMIT size) k;
      DELETE FROM kvot.point p WHERE p.company_id = p_company AND p.at > from_key AND p.at <= last_key;
    WHEN 3, 4, 5, 6 THEN
      SELECT max(k.slot), count(*) < size INTO last_key, is_done FROM (
        SELECT l.slot FROM kvot.late l WHERE l.company_id = p_company AND l.level = (part - 3)::smallint
          AND l.slot > from_key AND l.slot <= floor_ms >> (8 * (part - 3)) ORDER BY l.slot LIMIT size) k;
      DELETE FROM kvot.late l WHERE l.company_id = p_company AND l.level = (part - 3)::smallint
        AND l.slot > from_key AND l.slot <= last_key;
    WHEN 7 THEN
      SELECT max(k.hour), count(*) < size INTO last_key, is_done FROM (
        SELECT r.hour FROM kvot.rollup r WHERE r.company_id = p_company AND r.hour > from_key
          AND r.hour <= floor_ms / 3600000 ORDER BY r.hour LIMIT size) k;
      DELETE FROM kvot.rollup r WHERE r.company_id = p_company AND r.hour > from_key AND r.hour <= last_key;
      IF is_done THEN
        DELETE FROM kvot.sweep s WHERE s.company_id = p_company AND s.floor_at = floor_ms;
      END IF;
  END CASE;
  next := coalesce(next, last_key::text);
END $$;

-- A hold is remembered as long as its event is, or its id could be taken a second time.
CREATE FUNCTION kvot.is_forgotten(h kvot.hold, floor_ms bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT h.created_at <= floor_ms AND coalesce(h.closed_at <= floor_ms, false) AND NOT EXISTS (
    SELECT FROM kvot.event e WHERE e.company_id = h.company_id AND e.event_id = 'hold→' || h.hold_id AND e.at > floor_ms)
$$;

-- asked: in_doubt. What the last verification found.
CREATE FUNCTION kvot.do_doubt(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  t.in_doubt := (asked->'in_doubt')::boolean;
  t.status := 'done';
  RETURN t;
END $$;

-- Companies with holds that are due. Asks every company: for the background only.
CREATE FUNCTION kvot.companies_with_due_holds(given_ms bigint, drift_max_ms bigint) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE AS $$
DECLARE
  now_ms bigint := kvot.time_of(given_ms, drift_max_ms);
BEGIN
  RETURN QUERY SELECT DISTINCT h.company_id FROM kvot.hold h WHERE h.state = 'open' AND h.expires_at <= now_ms
    ORDER BY h.company_id;
END $$;
