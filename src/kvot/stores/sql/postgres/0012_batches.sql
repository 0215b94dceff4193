-- Recording thousands of new events of a company at once: each table is written with one statement.

-- Whether all were recorded. False, and none is, if any id is taken or comes twice, or any event is to be refused: then
-- they must go one by one, through kvot.write. p_label_nos: where in p_labels (from 1) the labels of an event stand, 0
-- for none. Parts that no event has may be NULL.
CREATE FUNCTION kvot.record_new(p_company uuid, rules bigint[], given_ms bigint, drift_max_ms bigint, p_ids text[],
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
      coalesce(set_nos[x.label_no], 0), x.input, x.output, x.cached, x.reasoning, NULL, NULL)::kvot.event),
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

-- The numbers of combinations of labels, in their order.
CREATE FUNCTION kvot.label_set_nos(p_company uuid, p_labels jsonb) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
  numbers integer[] := '{}';
BEGIN
  FOR i IN 0..jsonb_array_length(p_labels) - 1 LOOP
    numbers := numbers || kvot.label_set_no(p_company, kvot.to_labels(p_labels->i));
  END LOOP;
  RETURN numbers;
END $$;

-- What kvot.post does for one: those between the head and the clock join the chain in order of time, the others go to the
-- sidecar. None has tokens below zero, and the chain has room for all.
CREATE FUNCTION kvot.post_all(t kvot.turn, events kvot.event[]) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  last_ms bigint;
  total bigint;
  late_count bigint;
  late_total bigint;
BEGIN
  INSERT INTO kvot.late AS l
    SELECT t.company_id, level, e.at >> (8 * level), sum(e.tokens) FROM unnest(events) e, generate_series(0, 3) level
      WHERE e.at NOT BETWEEN t.head_at AND t.clock GROUP BY 2, 3
    ON CONFLICT (company_id, level, slot) DO UPDATE SET tokens = l.tokens + excluded.tokens;
  INSERT INTO kvot.point AS p
    SELECT t.company_id, e.at, t.head_cum + sum(sum(e.tokens)) OVER (ORDER BY e.at) FROM unnest(events) e
      WHERE e.at BETWEEN t.head_at AND t.clock GROUP BY e.at
    ON CONFLICT (company_id, at) DO UPDATE SET cum = excluded.cum;
  SELECT max(e.at) FILTER (WHERE in_order), coalesce(sum(e.tokens) FILTER (WHERE in_order), 0),
      count(*) FILTER (WHERE NOT in_order), coalesce(sum(e.tokens) FILTER (WHERE NOT in_order), 0)
    INTO last_ms, total, late_count, late_total
    FROM unnest(events) e, LATERAL (SELECT e.at BETWEEN t.head_at AND t.clock AS in_order) o;
  t.head_at := coalesce(last_ms, t.head_at);
  t.head_cum := t.head_cum + total;
  t.late_events := t.late_events + late_count;
  t.late_tokens := t.late_tokens + late_total;
  RETURN t;
END $$;
