-- The one way to write: any number of operations of one company, in order, in one transaction and under one lock.
--
-- The settings that the functions of this and the next file carry hold while they run, whatever the connection says, and
-- need no session: plans that were made when a table was small must still be right when it is large.

CREATE TYPE kvot.answer AS (
  status      text,
  error       text,          -- why the question reaches below what is kept; what was written stays
  event_at    bigint,
  wait_ms     bigint,
  note        jsonb,
  at_ms       bigint,        -- from here on: usage after the operation
  window_ms   bigint,
  used        bigint,
  held        bigint,
  token_limit integer,
  in_doubt    boolean,
  hold_id     text,          -- from here on: the hold, where the operation has one
  amount      bigint,
  ttl_ms      bigint,
  dispatched  boolean,
  labels      text[],
  created_at  bigint,
  expires_at  bigint,
  state       text,
  closed_at   bigint,
  actual      bigint
);

-- asked: a JSON array of operations; each names what to do as `do` and its caller's time as `now_ms`. One whose answer
-- needs no usage says `brief`.
CREATE FUNCTION kvot.write(p_company uuid, rules bigint[], drift_max_ms bigint, asked jsonb) RETURNS SETOF kvot.answer
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.take(p_company, rules);
  operation jsonb;
BEGIN
  FOR i IN 0..jsonb_array_length(asked) - 1 LOOP
    operation := asked->i;
    t.status := NULL;
    t.event_at := NULL;
    t.fits_at := NULL;
    t.hold := NULL;
    t.note := NULL;
    t.error := NULL;
    t := kvot.advance(t, kvot.time_of((operation->'now_ms')::bigint, drift_max_ms));
    CASE operation->>'do'
      WHEN 'record' THEN t := kvot.do_record(t, operation);
      WHEN 'reserve' THEN t := kvot.do_reserve(t, operation);
      WHEN 'settle' THEN t := kvot.do_settle(t, operation);
      WHEN 'release' THEN t := kvot.do_release(t, operation);
      WHEN 'dispatch' THEN t := kvot.do_dispatch(t, operation);
      WHEN 'renew' THEN t := kvot.do_renew(t, operation);
      WHEN 'correct' THEN t := kvot.do_correct(t, operation);
      WHEN 'set_budget' THEN t := kvot.do_set_budget(t, operation);
      WHEN 'prune' THEN t := kvot.do_prune(t, operation);
      WHEN 'doubt' THEN t := kvot.do_doubt(t, operation);
      WHEN 'expire' THEN t.status := 'done';
    END CASE;
    RETURN NEXT kvot.answer_of(t, (operation->'brief') IS NULL);
  END LOOP;
  PERFORM kvot.save(t);
END $$;

-- What is told of a turn. Usage is that of the clock.
CREATE FUNCTION kvot.answer_of(t kvot.turn, with_usage boolean) RETURNS kvot.answer LANGUAGE plpgsql STABLE AS $$
DECLARE
  a kvot.answer;
  h kvot.hold := t.hold;
BEGIN
  a.status := t.status;
  a.event_at := t.event_at;
  a.wait_ms := CASE WHEN t.fits_at IS NOT NULL THEN greatest(1, t.fits_at - t.now_ms) END;
  a.note := t.note;
  a.error := t.error;
  IF h.hold_id IS NOT NULL THEN
    a.hold_id := h.hold_id;
    a.amount := h.amount;
    a.ttl_ms := h.ttl_ms;
    a.dispatched := h.dispatched;
    a.labels := kvot.labels_of(t.company_id, h.label_set_no);
    a.created_at := h.created_at;
    a.expires_at := h.expires_at;
    a.state := h.state;
    a.closed_at := h.closed_at;
    a.actual := h.actual;
  END IF;
  IF with_usage THEN
    a.at_ms := t.clock;
    a.window_ms := t.window_days * 86400000::bigint;
    a.error := coalesce(a.error, kvot.beyond(t, t.clock - a.window_ms));
    IF a.error IS NULL THEN
      a.used := kvot.used_between(t, t.clock - a.window_ms, t.clock);
      a.held := kvot.held_at(t, t.clock);
    END IF;
    a.token_limit := t.token_limit;
    a.in_doubt := t.in_doubt;
  END IF;
  RETURN a;
END $$;
