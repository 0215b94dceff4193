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
BEGIN
  RETURN QUERY SELECT * FROM kvot.act(ARRAY[p_company], rules, drift_max_ms, ARRAY[asked], true);
END $$;

-- Operations of several companies in one transaction, those of each as kvot.write takes them. It waits for no lock: of a
-- company that another transaction has, that never wrote, or that has holds to close, of which there may be thousands,
-- nothing is done, and a single row says `busy`. So no one company keeps the others waiting, and none waits in a ring.
CREATE FUNCTION kvot.write_free(p_companies uuid[], rules bigint[], drift_max_ms bigint, asked jsonb[])
RETURNS SETOF kvot.answer
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
BEGIN
  RETURN QUERY SELECT * FROM kvot.act(p_companies, rules, drift_max_ms, asked, false);
END $$;

-- What both do, under the settings of whoever calls it.
CREATE FUNCTION kvot.act(p_companies uuid[], rules bigint[], drift_max_ms bigint, asked jsonb[], waits boolean)
RETURNS SETOF kvot.answer LANGUAGE plpgsql AS $$
DECLARE
  t kvot.turn;
  operations jsonb;
  operation jsonb;
  busy kvot.answer;
BEGIN
  PERFORM kvot.need_read_committed();
  busy.status := 'busy';
  FOR n IN 1..cardinality(p_companies) LOOP
    operations := asked[n];
    IF waits THEN
      t := kvot.take(p_companies[n], rules);
    ELSE
      t := kvot.take_free(p_companies[n], rules, kvot.time_of((operations->-1->'now_ms')::bigint, drift_max_ms));
    END IF;
    IF t.company_id IS NULL THEN
      RETURN NEXT busy;
      CONTINUE;
    END IF;
    FOR i IN 0..jsonb_array_length(operations) - 1 LOOP
      operation := operations->i;
      IF i > 0 THEN  -- what came of the operation before is told
        t.status := NULL;
        t.event_at := NULL;
        t.fits_at := NULL;
        t.hold := NULL;
        t.note := NULL;
        t.error := NULL;
      END IF;
      t := kvot.advance(t, kvot.time_of((operation->'now_ms')::bigint, drift_max_ms));
      CASE operation->>'do'
        WHEN 'reserve' THEN t := kvot.do_reserve(t, operation);
        WHEN 'settle' THEN t := kvot.do_settle(t, operation);
        WHEN 'record' THEN t := kvot.do_record(t, operation);
        WHEN 'release' THEN t := kvot.do_release(t, operation);
        WHEN 'dispatch' THEN t := kvot.do_dispatch(t, operation);
        WHEN 'renew' THEN t := kvot.do_renew(t, operation);
        WHEN 'correct' THEN t := kvot.do_correct(t, operation);
        WHEN 'set_budget' THEN t := kvot.do_set_budget(t, operation);
        WHEN 'remember' THEN t := kvot.do_remember(t, operation);
        WHEN 'prune' THEN t := kvot.do_prune(t, operation);
        WHEN 'doubt' THEN t := kvot.do_doubt(t, operation);
        WHEN 'expire' THEN t.status := 'done';
      END CASE;
      RETURN NEXT kvot.answer_of(t, (operation->'brief') IS NULL);
    END LOOP;
    t := kvot.save(t);
  END LOOP;
END $$;

-- What is told of a turn. Usage is that of the clock.
CREATE FUNCTION kvot.answer_of(t kvot.turn, with_usage boolean) RETURNS kvot.answer LANGUAGE plpgsql STABLE AS $$
DECLARE
  h kvot.hold := t.hold;
  window_ms bigint := t.window_days * 86400000::bigint;
  why text := t.error;
  used bigint;
  held bigint;
BEGIN
  IF with_usage THEN
    why := coalesce(why, kvot.beyond(t, t.clock - window_ms));
    IF why IS NULL THEN
      used := kvot.used_between(t, t.clock - window_ms, t.clock);
      held := CASE WHEN t.due_at <= t.clock THEN kvot.held_at(t, t.clock) ELSE t.held END;
    END IF;
  END IF;
  RETURN ROW(t.status, why, t.event_at, CASE WHEN t.fits_at IS NOT NULL THEN greatest(1, t.fits_at - t.now_ms) END, t.note,
    t.clock, window_ms, used, held, t.token_limit, t.in_doubt, h.hold_id, h.amount, h.ttl_ms, h.dispatched,
    CASE WHEN h.label_set_no > 0 THEN kvot.labels_of(t.company_id, h.label_set_no) END, h.created_at, h.expires_at,
    h.state, h.closed_at, h.actual)::kvot.answer;
END $$;
