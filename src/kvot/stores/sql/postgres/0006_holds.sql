-- Holds: tokens set aside for a call, then settled, released, or run out.
--
-- Each operation is one row of this table, by the state in which it finds the hold:
--
--               open                     settled            released           expired            charged
--     dispatch  marks it                 REPLAYED if it was dispatched, else CLOSED
--     renew     later expiry             CLOSED             CLOSED             CLOSED             CLOSED
--     settle    event now                REPLAYED/CONFLICT  CONFLICT           event now          correction of the charge
--     release   drops it                 CONFLICT           REPLAYED           REPLAYED           correction to zero

-- Bring the clock to now and close the holds that are due by then.
CREATE FUNCTION kvot.advance(t kvot.turn, now_ms bigint) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  t.now_ms := now_ms;
  t.clock := greatest(t.clock, now_ms);
  IF t.due_at <= t.clock THEN
    RETURN kvot.close_due(t);
  END IF;
  RETURN t;
END $$;

-- Close the due holds in order of expiry, then of id. note: how many.
CREATE FUNCTION kvot.close_due(t kvot.turn) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  h kvot.hold;
  closed integer := 0;
BEGIN
  FOR h IN SELECT * FROM kvot.hold d WHERE d.company_id = t.company_id AND d.state = 'open' AND d.expires_at <= t.clock
      ORDER BY d.expires_at, d.hold_id LOOP
    t := kvot.run_out(t, h);
    closed := closed + 1;
  END LOOP;
  SELECT min(d.expires_at) INTO t.due_at FROM kvot.hold d WHERE d.company_id = t.company_id AND d.state = 'open';
  t.note := jsonb_build_object('closed', closed);
  RETURN t;
END $$;

-- Close a due hold, and charge it if its call was sent. A total that has no room for the charge cannot take it.
CREATE FUNCTION kvot.run_out(t kvot.turn, h kvot.hold) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  e kvot.event;
  charged boolean := h.dispatched AND kvot.has_room_for(t, h.amount);
BEGIN
  IF charged THEN
    e.company_id := t.company_id;
    e.event_id := 'hold→' || h.hold_id;
    e.at := h.expires_at;
    e.at_given := false;
    e.tokens := h.amount;
    e.kind := 'expiry';
    e.source := 'estimated';
    e.label_set_no := h.label_set_no;
    t := kvot.enter(t, e);
  END IF;
  UPDATE kvot.hold d SET state = CASE WHEN charged THEN 'charged' ELSE 'expired' END::kvot.hold_state, closed_at = d.expires_at
    WHERE d.company_id = t.company_id AND d.hold_id = h.hold_id;
  t.held := t.held - h.amount;
  RETURN t;
END $$;

-- asked: id, amount, ttl_ms, dispatched, labels.
CREATE FUNCTION kvot.do_reserve(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  h kvot.hold;
  kept kvot.hold;
  window_start bigint;
BEGIN
  h.company_id := t.company_id;
  h.hold_id := asked->>'id';
  h.amount := (asked->'amount')::bigint;
  h.ttl_ms := (asked->'ttl_ms')::bigint;
  h.dispatched_asked := (asked->'dispatched')::boolean;
  h.label_set_no := kvot.label_set_no(t.company_id, kvot.to_labels(asked->'labels'));
  SELECT * INTO kept FROM kvot.hold k WHERE k.company_id = t.company_id AND k.hold_id = h.hold_id;
  IF FOUND THEN
    IF (h.amount, h.ttl_ms, h.dispatched_asked, h.label_set_no)
        = (kept.amount, kept.ttl_ms, kept.dispatched_asked, kept.label_set_no) THEN
      t.status := 'replayed';
      t.hold := kept;
    ELSE
      t.status := 'conflict';
    END IF;
    RETURN t;
  END IF;
  IF t.in_doubt THEN
    t.status := 'in_doubt';
    RETURN t;
  END IF;
  window_start := t.clock - t.window_days * 86400000::bigint;
  t.error := kvot.beyond(t, window_start);
  IF t.error IS NOT NULL THEN  -- nothing is held on a window that is not all kept
    RETURN t;
  END IF;
  IF kvot.since(t, window_start) <= t.token_limit - t.held - h.amount THEN
    t := kvot.hold_new(t, h);
    t.status := 'done';
  ELSE
    t.status := 'over_limit';
    t.fits_at := kvot.fits_at(t, h.amount);
  END IF;
  RETURN t;
END $$;

CREATE FUNCTION kvot.hold_new(t kvot.turn, h kvot.hold) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  h.dispatched := h.dispatched_asked;
  h.created_at := t.clock;
  h.expires_at := t.clock + h.ttl_ms;
  h.state := 'open';
  INSERT INTO kvot.hold SELECT h.*;
  t.held := t.held + h.amount;
  t.hold := h;
  RETURN kvot.note_expiry(t, h);
END $$;

-- Keep the bounds that spare others a search: no open hold is due earlier, none ever lasted longer.
CREATE FUNCTION kvot.note_expiry(t kvot.turn, h kvot.hold) RETURNS kvot.turn LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  t.due_at := least(t.due_at, h.expires_at);
  t.hold_span_ms := greatest(t.hold_span_ms, h.expires_at - h.created_at);
  RETURN t;
END $$;

-- The hold that is asked for; its hold_id is NULL when there is none.
CREATE FUNCTION kvot.find_hold(t kvot.turn, p_hold_id text) RETURNS kvot.hold LANGUAGE plpgsql STABLE AS $$
DECLARE
  h kvot.hold;
BEGIN
  SELECT * INTO h FROM kvot.hold k WHERE k.company_id = t.company_id AND k.hold_id = p_hold_id;
  RETURN h;
END $$;

-- asked: id.
CREATE FUNCTION kvot.do_dispatch(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  h kvot.hold := kvot.find_hold(t, asked->>'id');
BEGIN
  IF h.hold_id IS NULL THEN
    t.status := 'not_found';
  ELSIF h.dispatched THEN
    t.status := 'replayed';
  ELSIF h.state <> 'open' THEN
    t.status := 'closed';
  ELSE
    UPDATE kvot.hold k SET dispatched = true WHERE k.company_id = t.company_id AND k.hold_id = h.hold_id;
    h.dispatched := true;
    t.status := 'done';
  END IF;
  t.hold := h;
  RETURN t;
END $$;

-- asked: id, ttl_ms.
CREATE FUNCTION kvot.do_renew(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  h kvot.hold := kvot.find_hold(t, asked->>'id');
BEGIN
  IF h.hold_id IS NULL THEN
    t.status := 'not_found';
  ELSIF h.state <> 'open' THEN
    t.status := 'closed';
  ELSE
    h.expires_at := greatest(h.expires_at, t.clock + (asked->'ttl_ms')::bigint);
    UPDATE kvot.hold k SET expires_at = h.expires_at WHERE k.company_id = t.company_id AND k.hold_id = h.hold_id;
    t := kvot.note_expiry(t, h);
    t.status := 'done';
  END IF;
  t.hold := h;
  RETURN t;
END $$;

-- asked: id, tokens, source, labels, parts, text (the settlement as it is compared with a retry).
CREATE FUNCTION kvot.do_settle(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  h kvot.hold := kvot.find_hold(t, asked->>'id');
BEGIN
  IF h.hold_id IS NULL THEN
    t.status := 'not_found';
  ELSIF h.state = 'settled' THEN
    t.status := CASE WHEN h.settlement = asked->>'text' THEN 'replayed' ELSE 'conflict' END;
  ELSIF h.state = 'released' THEN
    t.status := 'conflict';
  ELSIF h.state = 'charged' THEN
    t := kvot.correct_charge(t, h, asked);
  ELSE
    t := kvot.record_settlement(t, h, asked);
  END IF;
  IF t.status = 'done' THEN
    h.actual := (asked->'tokens')::bigint;
    h.settlement := asked->>'text';
    RETURN kvot.close_hold(t, h, 'settled');
  END IF;
  t.hold := h;
  RETURN t;
END $$;

-- What was used is recorded now, under what is known of the call, filled up with what was said when it was held.
CREATE FUNCTION kvot.record_settlement(t kvot.turn, h kvot.hold, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  e kvot.event;
  own text[] := kvot.to_labels(asked->'labels');
  held text[];
  parts jsonb := asked->'parts';
BEGIN
  e.tokens := (asked->'tokens')::bigint;
  IF NOT kvot.has_room_for(t, e.tokens) THEN
    t.status := 'counter_full';
    RETURN t;
  END IF;
  IF own IS NULL THEN
    e.label_set_no := h.label_set_no;
  ELSE
    held := kvot.labels_of(t.company_id, h.label_set_no);
    e.label_set_no := kvot.label_set_no(t.company_id, ARRAY[coalesce(own[1], held[1]), coalesce(own[2], held[2]),
      coalesce(own[3], held[3]), coalesce(own[4], held[4])]);
  END IF;
  e.company_id := t.company_id;
  e.event_id := 'hold→' || h.hold_id;
  e.at := t.clock;
  e.at_given := false;
  e.kind := 'settlement';
  e.source := asked->>'source';
  e.input_tokens := parts->>0;
  e.output_tokens := parts->>1;
  e.cached_tokens := parts->>2;
  e.reasoning_tokens := parts->>3;
  t := kvot.enter(t, e);
  t.status := 'done';
  RETURN t;
END $$;

-- Make the charge, with whatever corrections it has had, come to the tokens that are asked for.
CREATE FUNCTION kvot.correct_charge(t kvot.turn, h kvot.hold, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  charge kvot.event;
  c kvot.event;
  parts jsonb := asked->'parts';
BEGIN
  SELECT * INTO charge FROM kvot.event k WHERE k.company_id = t.company_id AND k.event_id = 'hold→' || h.hold_id;
  IF NOT FOUND THEN  -- only damage can have taken it: verify will say so
    t.status := 'not_found';
    RETURN t;
  END IF;
  c.event_id := 'late→' || h.hold_id;
  c.tokens := (asked->'tokens')::bigint - kvot.tokens_with_corrections(charge);
  c.input_tokens := parts->>0;
  c.output_tokens := parts->>1;
  c.cached_tokens := parts->>2;
  c.reasoning_tokens := parts->>3;
  RETURN kvot.add_correction(t, charge, c);
END $$;

-- asked: id.
CREATE FUNCTION kvot.do_release(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  h kvot.hold := kvot.find_hold(t, asked->>'id');
BEGIN
  IF h.hold_id IS NULL THEN
    t.status := 'not_found';
  ELSIF h.state IN ('released', 'expired') THEN
    t.status := 'replayed';
  ELSIF h.state = 'settled' THEN
    t.status := 'conflict';
  ELSIF h.state = 'charged' THEN
    t := kvot.correct_charge(t, h, '{"tokens": 0}');
  ELSE
    t.status := 'done';
  END IF;
  IF t.status = 'done' THEN
    RETURN kvot.close_hold(t, h, 'released');
  END IF;
  t.hold := h;
  RETURN t;
END $$;

-- A hold that ran out stopped holding tokens then, whatever is learnt later.
CREATE FUNCTION kvot.close_hold(t kvot.turn, h kvot.hold, p_state kvot.hold_state) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  IF h.state = 'open' THEN
    t.held := t.held - h.amount;
  END IF;
  h.state := p_state;
  h.closed_at := coalesce(h.closed_at, t.clock);
  UPDATE kvot.hold k SET state = h.state, closed_at = h.closed_at, actual = h.actual, settlement = h.settlement
    WHERE k.company_id = t.company_id AND k.hold_id = h.hold_id;
  t.hold := h;
  RETURN t;
END $$;
