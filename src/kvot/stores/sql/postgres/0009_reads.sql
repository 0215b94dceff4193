-- The ways to read. Each is STABLE: all its statements see the one snapshot of the statement that called it, so a read
-- never sees half of a write. A question below the floor is an error (KV001), never a partial number.

CREATE FUNCTION kvot.usage(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, p_at bigint,
  p_window bigint) RETURNS SETOF kvot.answer
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.look(p_company, rules, given_ms, drift_max_ms);
  a kvot.answer;
  days integer;
BEGIN
  a.at_ms := coalesce(p_at, t.clock);
  SELECT b.p_limit, b.p_days INTO a.token_limit, days FROM kvot.budget_at(t, a.at_ms) b;
  a.window_ms := coalesce(p_window, days * 86400000::bigint);
  PERFORM kvot.need_kept(t, a.at_ms - a.window_ms);
  a.used := kvot.used_between(t, a.at_ms - a.window_ms, a.at_ms);
  a.held := kvot.held_at(t, a.at_ms);
  a.in_doubt := t.in_doubt;
  RETURN NEXT a;
END $$;

CREATE FUNCTION kvot.hold_now(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, p_hold_id text)
RETURNS SETOF kvot.answer
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.look(p_company, rules, given_ms, drift_max_ms);
  h kvot.hold := kvot.find_hold(t, p_hold_id);
BEGIN
  t.status := CASE WHEN h.hold_id IS NULL THEN 'not_found' ELSE 'done' END;
  IF h.state = 'open' AND h.expires_at <= t.clock THEN
    h.state := CASE WHEN h.dispatched THEN 'charged' ELSE 'expired' END;
    h.closed_at := h.expires_at;
  END IF;
  t.hold := h;
  RETURN NEXT kvot.answer_of(t, true);
END $$;

-- For each edge: the rolling usage at it, and the tokens from it to the next one (NULL for the last).
CREATE FUNCTION kvot.series(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, edges_ms bigint[],
  p_window bigint, OUT rolling bigint, OUT tokens bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.look(p_company, rules, given_ms, drift_max_ms);
  edge_ms bigint;
  window_ms bigint;
BEGIN
  FOR i IN 1..cardinality(edges_ms) LOOP
    edge_ms := edges_ms[i];
    window_ms := coalesce(p_window, (SELECT b.p_days * 86400000::bigint FROM kvot.budget_at(t, edge_ms) b));
    PERFORM kvot.need_kept(t, edge_ms - window_ms);
    rolling := kvot.used_between(t, edge_ms - window_ms, edge_ms);
    tokens := NULL;
    IF i < cardinality(edges_ms) THEN
      tokens := kvot.used_between(t, edge_ms - 1, edges_ms[i + 1] - 1);
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;

-- Tokens by one label (1 provider, 2 model, 3 user, 4 feature) or by source (0), over whole hours.
CREATE FUNCTION kvot.breakdown(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, by_label integer,
  first_hour bigint, end_hour bigint, OUT label text, OUT events bigint, OUT tokens bigint, OUT input_tokens bigint,
  OUT output_tokens bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.look(p_company, rules, given_ms, drift_max_ms);
BEGIN
  PERFORM kvot.need_kept(t, first_hour * 3600000 - 1);
  RETURN QUERY
    SELECT CASE WHEN by_label = 0 THEN x.source::text ELSE s.labels[by_label] END,
      sum(x.events)::bigint, sum(x.tokens)::bigint, sum(x.input_tokens)::bigint, sum(x.output_tokens)::bigint
    FROM (
      SELECT r.label_set_no, r.source, r.events, r.tokens, r.input_tokens, r.output_tokens FROM kvot.rollup r
        WHERE r.company_id = t.company_id AND r.hour >= first_hour AND r.hour < end_hour
      UNION ALL
      SELECT h.label_set_no, 'estimated', 1, h.amount, 0, 0 FROM kvot.hold h
        WHERE h.company_id = t.company_id AND h.state = 'open' AND h.dispatched AND h.expires_at <= t.clock
          AND h.expires_at >= first_hour * 3600000 AND h.expires_at < end_hour * 3600000
    ) x LEFT JOIN kvot.label_set s ON s.company_id = t.company_id AND s.label_set_no = x.label_set_no
    GROUP BY 1;
END $$;

CREATE FUNCTION kvot.when_fits(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, p_tokens bigint)
RETURNS bigint
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.look(p_company, rules, given_ms, drift_max_ms);
BEGIN
  PERFORM kvot.need_kept(t, t.clock - t.window_days * 86400000::bigint);
  RETURN kvot.fits_at(t, p_tokens);
END $$;

-- The budget of an instant, and the history.
CREATE FUNCTION kvot.budget_read(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, p_at bigint)
RETURNS jsonb LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.look(p_company, rules, given_ms, drift_max_ms);
  b record;
BEGIN
  SELECT * INTO b FROM kvot.budget_at(t, coalesce(p_at, t.clock));
  RETURN jsonb_build_object('budget', jsonb_build_array(b.p_limit, b.p_days), 'changes', kvot.budget_history(p_company));
END $$;
