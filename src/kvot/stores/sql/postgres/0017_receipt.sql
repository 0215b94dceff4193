-- What the provider told of a call beside its tokens, as JSON: by which a bill can be checked afterwards. NULL where nobody
-- was told anything, as of recorded and imported events. See kvot/gateway/receipt.py.

ALTER TABLE kvot.event ADD COLUMN receipt text;

-- The functions below are those of 0005_events, 0006_holds and 0012_batches, with the receipt. `record` and `settle` are
-- asked for with `receipt`, too, which no retry is compared by: it may bring another, and the first one stays.

-- asked: id, tokens, at (null: the clock), source, labels, parts (input, output, cached, reasoning tokens), receipt.
CREATE OR REPLACE FUNCTION kvot.do_record(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  e kvot.event;
  kept kvot.event;
  parts jsonb := asked->'parts';
BEGIN
  e.company_id := t.company_id;
  e.event_id := asked->>'id';
  e.tokens := (asked->'tokens')::bigint;
  e.at := (asked->>'at')::bigint;
  e.at_given := e.at IS NOT NULL;
  e.at := coalesce(e.at, t.clock);
  e.kind := 'usage';
  e.source := asked->>'source';
  e.label_set_no := kvot.label_set_no(t.company_id, kvot.to_labels(asked->'labels'));
  e.input_tokens := parts->>0;
  e.output_tokens := parts->>1;
  e.cached_tokens := parts->>2;
  e.reasoning_tokens := parts->>3;
  e.receipt := asked->>'receipt';
  SELECT * INTO kept FROM kvot.event k WHERE k.company_id = t.company_id AND k.event_id = e.event_id;
  IF FOUND THEN
    IF kvot.is_same(e, kept) THEN
      t.status := 'replayed';
      t.event_at := kept.at;
    ELSE
      t.status := 'conflict';
    END IF;
  ELSIF e.at > t.clock + t.future_max_ms THEN
    t.status := 'in_future';
  ELSIF kvot.is_beyond(t, e.at) THEN
    t.status := 'beyond_retention';
  ELSIF NOT kvot.has_room_for(t, e.tokens) THEN
    t.status := 'counter_full';
  ELSE
    t := kvot.enter(t, e);
    t.status := 'done';
    t.event_at := e.at;
  END IF;
  RETURN t;
END $$;

-- What was used is recorded now, under what is known of the call, filled up with what was said when it was held.
CREATE OR REPLACE FUNCTION kvot.record_settlement(t kvot.turn, h kvot.hold, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
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
  e.receipt := asked->>'receipt';
  t := kvot.enter(t, e);
  t.status := 'done';
  RETURN t;
END $$;

-- Make the charge, with whatever corrections it has had, come to the tokens that are asked for.
CREATE OR REPLACE FUNCTION kvot.correct_charge(t kvot.turn, h kvot.hold, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
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
  c.receipt := asked->>'receipt';
  RETURN kvot.add_correction(t, charge, c);
END $$;

-- See 0012_batches. What is recorded so has no receipt.
CREATE OR REPLACE FUNCTION kvot.record_new(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, p_ids text[],
  p_tokens bigint[], p_at bigint[], p_sources text[], p_label_nos integer[], p_labels jsonb, p_input bigint[],
  p_output bigint[], p_cached bigint[], p_reasoning bigint[]) RETURNS boolean
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
  t kvot.turn := kvot.advance(kvot.take(p_company, rules), kvot.time_of(given_ms, drift_max_ms));
  set_nos integer[] := kvot.label_set_nos(p_company, p_labels);
  events kvot.event[];
  total numeric;
  first_ms bigint;
  last_ms bigint;
BEGIN
  PERFORM kvot.need_read_committed();
  t := kvot.save(t);  -- whatever comes of it, the clock has advanced
  SELECT array_agg(ROW(p_company, x.id, coalesce(x.at, t.clock), x.tokens, x.at IS NOT NULL, 'usage', x.source,
      coalesce(set_nos[x.label_no], 0), x.input, x.output, x.cached, x.reasoning, NULL, NULL, NULL)::kvot.event),
      sum(x.tokens), min(coalesce(x.at, t.clock)), max(coalesce(x.at, t.clock))
    INTO events, total, first_ms, last_ms
    FROM unnest(p_ids, p_tokens, p_at, p_sources, p_label_nos, p_input, p_output, p_cached, p_reasoning)
      x(id, tokens, at, source, label_no, input, output, cached, reasoning);
  IF last_ms > t.clock + t.future_max_ms OR kvot.is_beyond(t, first_ms)
      OR total > 9223372036854775807 - t.head_cum OR total > 9223372036854775807 - t.head_cum - t.late_tokens THEN
    RETURN false;
  END IF;
  BEGIN
    INSERT INTO kvot.event SELECT * FROM unnest(events);
  EXCEPTION WHEN unique_violation THEN
    RETURN false;
  END;
  INSERT INTO kvot.rollup AS r
    SELECT p_company, e.at / 3600000, e.label_set_no, e.source, count(*), sum(e.tokens), sum(coalesce(e.input_tokens, 0)),
      sum(coalesce(e.output_tokens, 0)) FROM unnest(events) e GROUP BY 2, 3, 4
    ON CONFLICT (company_id, hour, label_set_no, source) DO UPDATE SET events = r.events + excluded.events,
      tokens = r.tokens + excluded.tokens, input_tokens = r.input_tokens + excluded.input_tokens,
      output_tokens = r.output_tokens + excluded.output_tokens;
  t := kvot.save(kvot.post_all(t, events));
  RETURN true;
END $$;
