-- How many tokens a call reads that goes on from a stored reply: the input and output of the call that made it. NULL:
-- unknown, as of all that were remembered before this step. See kvot/core/stored_replies.py.

ALTER TABLE kvot.stored_reply ADD COLUMN tokens bigint;

-- asked: provider, id, tokens, replies_kept_ms, forgotten_max.
CREATE OR REPLACE FUNCTION kvot.do_remember(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO kvot.stored_reply AS s
    VALUES (t.company_id, asked->>'provider', asked->>'id', t.clock, (asked->>'tokens')::bigint)
    ON CONFLICT (company_id, provider, reply_id) DO UPDATE SET at = excluded.at, tokens = excluded.tokens;
  PERFORM kvot.forget_replies(t, asked, (asked->'forgotten_max')::integer);
  t.status := 'done';
  RETURN t;
END $$;

DROP FUNCTION kvot.has_reply(uuid, bigint, bigint, text, text, bigint);

-- A row where the company made it and it is still kept.
CREATE FUNCTION kvot.find_reply(p_company uuid, given_ms bigint, drift_max_ms bigint, p_provider text, p_reply text,
  kept_ms bigint) RETURNS TABLE (provider text, reply_id text, at bigint, tokens bigint)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
BEGIN
  RETURN QUERY SELECT s.provider, s.reply_id, s.at, s.tokens FROM kvot.company c
    JOIN kvot.stored_reply s USING (company_id)
    WHERE c.company_id = p_company AND s.company_id = p_company AND s.provider = p_provider AND s.reply_id = p_reply
      AND s.at > greatest(c.clock, kvot.time_of(given_ms, drift_max_ms)) - kept_ms;
END $$;
