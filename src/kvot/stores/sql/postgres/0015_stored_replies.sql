-- Which company made which of the replies that providers store: their ids, never the replies. See
-- kvot/core/stored_replies.py, which has the constants too.

CREATE TABLE kvot.stored_reply(
  company_id uuid,
  provider   text COLLATE "C",
  reply_id   text COLLATE "C",
  at         bigint NOT NULL,              -- the company's clock when it was last remembered
  PRIMARY KEY(company_id, provider, reply_id)
);

-- The oldest are forgotten first.
CREATE INDEX stored_reply_by_age ON kvot.stored_reply(company_id, at);

-- asked: provider, id, replies_kept_ms, forgotten_max.
CREATE FUNCTION kvot.do_remember(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO kvot.stored_reply AS s VALUES (t.company_id, asked->>'provider', asked->>'id', t.clock)
    ON CONFLICT (company_id, provider, reply_id) DO UPDATE SET at = excluded.at;
  PERFORM kvot.forget_replies(t, asked, (asked->'forgotten_max')::integer);
  t.status := 'done';
  RETURN t;
END $$;

-- The oldest of those that are not kept any longer: at most so many, all of them if NULL. asked: replies_kept_ms.
CREATE FUNCTION kvot.forget_replies(t kvot.turn, asked jsonb, forgotten_max integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM kvot.stored_reply s WHERE s.company_id = t.company_id AND (s.provider, s.reply_id) IN
    (SELECT o.provider, o.reply_id FROM kvot.stored_reply o
     WHERE o.company_id = t.company_id AND o.at <= t.clock - (asked->'replies_kept_ms')::bigint
     ORDER BY o.at, o.provider, o.reply_id LIMIT forgotten_max);
END $$;

CREATE FUNCTION kvot.has_reply(p_company uuid, given_ms bigint, drift_max_ms bigint, p_provider text, p_reply text,
  kept_ms bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
BEGIN
  RETURN EXISTS (SELECT FROM kvot.company c JOIN kvot.stored_reply s USING (company_id)
    WHERE c.company_id = p_company AND s.company_id = p_company AND s.provider = p_provider AND s.reply_id = p_reply
      AND s.at > greatest(c.clock, kvot.time_of(given_ms, drift_max_ms)) - kept_ms);
END $$;
