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

-- asked: before_ms. note: the floor, and how many events were forgotten.
CREATE FUNCTION kvot.do_prune(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  before_ms bigint := least((asked->'before_ms')::bigint, t.clock - t.window_days * 86400000::bigint);
  floor_ms bigint := (before_ms >> 24 << 24) - 1;  -- sidecar slots go whole: see kvot.core.window.floor_before
  events bigint := 0;
BEGIN
  IF floor_ms > t.floor_at THEN
    t.floor_late := t.floor_late + kvot.late_between(t, t.floor_at, floor_ms);
    t.floor_cum := kvot.cum_at(t, floor_ms);
    t.floor_at := floor_ms;
    DELETE FROM kvot.point p WHERE p.company_id = t.company_id AND p.at <= floor_ms;
    DELETE FROM kvot.late l WHERE l.company_id = t.company_id AND l.slot < (floor_ms + 1) >> (8 * l.level);
    DELETE FROM kvot.rollup r WHERE r.company_id = t.company_id AND r.hour <= floor_ms / 3600000;
    DELETE FROM kvot.event e WHERE e.company_id = t.company_id AND e.at <= floor_ms;
    GET DIAGNOSTICS events = ROW_COUNT;
    -- A hold is remembered as long as its event is, or its id could be taken a second time.
    DELETE FROM kvot.hold h WHERE h.company_id = t.company_id AND h.created_at <= floor_ms AND h.closed_at <= floor_ms
      AND NOT EXISTS (SELECT FROM kvot.event e WHERE e.company_id = t.company_id AND e.event_id = 'hold→' || h.hold_id);
  END IF;
  t.status := 'done';
  t.note := jsonb_build_object('floor_at', t.floor_at, 'events', events);
  RETURN t;
END $$;

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
