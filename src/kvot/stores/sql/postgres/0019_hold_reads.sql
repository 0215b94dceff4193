-- Reads of a company's holds: the open ones, and those that are attempts at certain calls.

-- Open by now, those first that last longest.
CREATE FUNCTION kvot.open_holds(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, holds_max bigint)
RETURNS TABLE (hold_id text, amount bigint, ttl_ms bigint, dispatched boolean, labels text[], created_at bigint,
  expires_at bigint, state text, closed_at bigint, actual bigint)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.look(p_company, rules, given_ms, drift_max_ms);
BEGIN
  RETURN QUERY SELECT h.hold_id, h.amount, h.ttl_ms, h.dispatched, s.labels, h.created_at, h.expires_at, h.state::text,
      h.closed_at, h.actual
    FROM kvot.hold h LEFT JOIN kvot.label_set s ON s.company_id = h.company_id AND s.label_set_no = h.label_set_no
    WHERE h.company_id = p_company AND h.state = 'open' AND h.expires_at > t.clock
    ORDER BY h.expires_at DESC LIMIT holds_max;
END $$;

-- Of the last holds_max holds that were made within so many ms, and of as many open ones, those whose id is a UUID that
-- ends in one of the tags; the newest first. The offset has each looked up by its id: a planner that joins would read all
-- holds of the company for some hundred ids.
CREATE FUNCTION kvot.tagged_holds(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, tags text[],
  within_ms bigint, holds_max bigint)
RETURNS TABLE (hold_id text, amount bigint, expires_at bigint, settlement text, closed_at bigint, state text)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.look(p_company, rules, given_ms, drift_max_ms);
BEGIN
  RETURN QUERY SELECT h.hold_id, h.amount, h.expires_at, h.settlement, h.closed_at, CASE
      WHEN h.state <> 'open' OR h.expires_at > t.clock THEN h.state::text
      WHEN h.dispatched THEN 'charged' ELSE 'expired' END
    FROM (
      SELECT n.hold_id FROM (SELECT m.hold_id FROM kvot.hold m
          WHERE m.company_id = p_company AND m.created_at > t.clock - within_ms
          ORDER BY m.created_at DESC LIMIT holds_max) n WHERE right(n.hold_id, 10) = ANY(tags)
      UNION
      SELECT n.hold_id FROM (SELECT m.hold_id FROM kvot.hold m WHERE m.company_id = p_company AND m.state = 'open'
          ORDER BY m.expires_at DESC LIMIT holds_max) n WHERE right(n.hold_id, 10) = ANY(tags)) tagged
    CROSS JOIN LATERAL
      (SELECT * FROM kvot.hold k WHERE k.company_id = p_company AND k.hold_id = tagged.hold_id OFFSET 0) h
    WHERE h.hold_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    ORDER BY h.created_at DESC;
END $$;
