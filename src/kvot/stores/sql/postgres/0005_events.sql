-- Events: the ledger takes an id once and never changes what it took.

-- The number of a combination of provider, model, user and feature, given on first use. NULL says nothing of any.
CREATE FUNCTION kvot.label_set_no(p_company uuid, p_labels text[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  p_digest bytea;
  number integer;
BEGIN
  IF p_labels IS NULL OR p_labels = ARRAY[NULL, NULL, NULL, NULL]::text[] THEN
    RETURN 0;
  END IF;
  p_digest := sha256(convert_to(array_to_json(p_labels)::text, 'UTF8'));
  SELECT s.label_set_no INTO number FROM kvot.label_set s WHERE s.company_id = p_company AND s.digest = p_digest;
  IF NOT FOUND THEN
    SELECT coalesce(max(s.label_set_no), 0) + 1 INTO number FROM kvot.label_set s WHERE s.company_id = p_company;
    INSERT INTO kvot.label_set VALUES (p_company, number, p_digest, p_labels);
  END IF;
  RETURN number;
END $$;

CREATE FUNCTION kvot.labels_of(p_company uuid, number integer) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF number = 0 THEN
    RETURN NULL;
  END IF;
  RETURN (SELECT s.labels FROM kvot.label_set s WHERE s.company_id = p_company AND s.label_set_no = number);
END $$;

-- The four labels of a JSON array; NULL for JSON's null.
CREATE FUNCTION kvot.to_labels(j jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN jsonb_typeof(j) = 'array' THEN ARRAY[j->>0, j->>1, j->>2, j->>3] END
$$;

-- Write a new event and count it. The caller has seen that its id is free and that the company has room.
CREATE FUNCTION kvot.enter(t kvot.turn, e kvot.event) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO kvot.event SELECT e.*;
  IF e.tokens <> 0 THEN
    t := kvot.post(t, e.at, e.tokens);
  END IF;
  INSERT INTO kvot.rollup AS r VALUES (e.company_id, e.at / 3600000, e.label_set_no, e.source, 1, e.tokens,
      coalesce(e.input_tokens, 0), coalesce(e.output_tokens, 0))
    ON CONFLICT (company_id, hour, label_set_no, source) DO UPDATE SET events = r.events + 1,
      tokens = r.tokens + excluded.tokens, input_tokens = r.input_tokens + excluded.input_tokens,
      output_tokens = r.output_tokens + excluded.output_tokens;
  RETURN t;
END $$;

-- Older than retention, or forgotten.
CREATE FUNCTION kvot.is_beyond(t kvot.turn, at_ms bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT at_ms < t.clock - t.retention_ms OR at_ms <= t.floor_at
$$;

-- Whether a retry says what was said at first; a time that the ledger assigned was not said.
CREATE FUNCTION kvot.is_same(e kvot.event, kept kvot.event) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT (e.tokens, e.at_given, e.kind, e.source, e.label_set_no)
      = (kept.tokens, kept.at_given, kept.kind, kept.source, kept.label_set_no)
    AND (e.input_tokens, e.output_tokens, e.cached_tokens, e.reasoning_tokens)
      IS NOT DISTINCT FROM (kept.input_tokens, kept.output_tokens, kept.cached_tokens, kept.reasoning_tokens)
    AND (e.at = kept.at OR NOT e.at_given)
$$;

-- asked: id, tokens, at (null: the clock), source, labels, parts (input, output, cached, reasoning tokens).
CREATE FUNCTION kvot.do_record(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
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

-- Corrections have their target's time. Those of another belong to an event of the same id that was forgotten, and that a
-- prune on its way has not deleted yet.
CREATE FUNCTION kvot.tokens_with_corrections(e kvot.event) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN e.tokens + (SELECT coalesce(sum(c.tokens), 0) FROM kvot.event c
    WHERE c.company_id = e.company_id AND c.ref = e.event_id AND c.at = e.at)::bigint;
END $$;

-- Write a correction at its target's time and under its labels. `c` brings the id, the tokens, their parts, the reason.
CREATE FUNCTION kvot.add_correction(t kvot.turn, target kvot.event, c kvot.event) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  IF kvot.is_beyond(t, target.at) THEN
    t.status := 'beyond_retention';
  ELSIF kvot.tokens_with_corrections(target) + c.tokens < 0 THEN
    t.status := 'below_zero';
  ELSIF NOT kvot.has_room_for(t, c.tokens) THEN
    t.status := 'counter_full';
  ELSE
    c.company_id := t.company_id;
    c.at := target.at;
    c.at_given := false;
    c.kind := 'correction';
    c.source := 'corrected';
    c.label_set_no := target.label_set_no;
    c.ref := target.event_id;
    t := kvot.enter(t, c);
    t.status := 'done';
  END IF;
  RETURN t;
END $$;

-- asked: id, target, tokens, actor, reason.
CREATE FUNCTION kvot.do_correct(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  c kvot.event;
  kept kvot.event;
  target kvot.event;
BEGIN
  c.event_id := asked->>'id';
  c.tokens := (asked->'tokens')::bigint;
  c.reason := asked->>'reason';
  SELECT * INTO kept FROM kvot.event k WHERE k.company_id = t.company_id AND k.event_id = c.event_id;
  IF FOUND THEN
    IF kept.kind = 'correction' AND (c.tokens, asked->>'target', c.reason)
        IS NOT DISTINCT FROM (kept.tokens, kept.ref, kept.reason) THEN
      t.status := 'replayed';
      t.event_at := kept.at;
    ELSE
      t.status := 'conflict';
    END IF;
    RETURN t;
  END IF;
  SELECT * INTO target FROM kvot.event k WHERE k.company_id = t.company_id AND k.event_id = asked->>'target';
  IF NOT FOUND THEN
    t.status := 'not_found';
  ELSIF target.kind = 'correction' THEN
    t.status := 'not_correctable';
  ELSE
    t := kvot.add_correction(t, target, c);
    IF t.status = 'done' THEN
      t.event_at := target.at;
      PERFORM kvot.note_change(t, asked->>'actor', 'correct', c.event_id,
        jsonb_build_object('target', target.event_id, 'tokens', c.tokens, 'reason', c.reason));
    END IF;
  END IF;
  RETURN t;
END $$;

-- Add a line to a company's audit log, bound by its hash to the line before it.
CREATE FUNCTION kvot.note_change(t kvot.turn, p_actor text, p_action text, p_subject text, p_detail jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  last kvot.audit;
BEGIN
  SELECT * INTO last FROM kvot.audit a WHERE a.company_id = t.company_id ORDER BY a.seq DESC LIMIT 1;
  INSERT INTO kvot.audit VALUES (t.company_id, coalesce(last.seq, 0) + 1, t.clock, p_actor, p_action, p_subject, p_detail,
    kvot.line_hash(last.hash, coalesce(last.seq, 0) + 1, t.clock, p_actor, p_action, t.company_id, p_subject, p_detail));
END $$;

-- What binds a line of an audit log to the one before it. NULL before the first.
CREATE FUNCTION kvot.line_hash(before bytea, seq bigint, at_ms bigint, actor text, action text, company uuid, subject text,
  detail jsonb) RETURNS bytea LANGUAGE sql STABLE AS $$
  SELECT sha256(coalesce(before, '\x00'::bytea)
    || convert_to(jsonb_build_array(seq, at_ms, actor, action, company, subject, detail)::text, 'UTF8'))
$$;
