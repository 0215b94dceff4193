-- The arithmetic of the ledger: a chain of running totals and a sidecar for what does not come in order.
--
--     P(t)       the chain's total through t: one seek
--     L(a, b]    the sidecar's tokens over (a, b]: at most two runs of slots a level
--     (a, b]     holds P(b) - P(a) + L(a, b] tokens
--
-- The chain only grows: what would lower it (a correction) or overflow it goes to the sidecar, as what comes late does.

-- The chain's total through an instant at or above the floor.
CREATE FUNCTION kvot.cum_at(t kvot.turn, at_ms bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  total bigint;
BEGIN
  IF at_ms >= t.head_at THEN
    RETURN t.head_cum;
  END IF;
  SELECT p.cum INTO total FROM kvot.point p WHERE p.company_id = t.company_id AND p.at <= at_ms ORDER BY p.at DESC LIMIT 1;
  RETURN coalesce(total, t.floor_cum);
END $$;

-- The sidecar's tokens in (after_ms, through_ms], as kvot.core.window.slot_ranges cuts it.
CREATE FUNCTION kvot.late_between(t kvot.turn, after_ms bigint, through_ms bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
  first_ms bigint := greatest(after_ms, t.floor_at) + 1;
  end_ms bigint := through_ms + 1;
  inner_first bigint;
  inner_end bigint;
  total bigint := 0;
BEGIN
  IF t.late_events = 0 THEN
    RETURN 0;
  END IF;
  FOR level IN 0..2 LOOP
    IF first_ms >= end_ms THEN
      RETURN total;
    END IF;
    inner_first := -((-first_ms) >> (8 * level + 8)) << (8 * level + 8);
    inner_end := end_ms >> (8 * level + 8) << (8 * level + 8);
    IF inner_first >= inner_end THEN  -- no whole slot of the next level lies inside
      RETURN total + kvot.late_run(t, level, first_ms, end_ms);
    END IF;
    IF first_ms < inner_first THEN
      total := total + kvot.late_run(t, level, first_ms, inner_first);
    END IF;
    IF inner_end < end_ms THEN
      total := total + kvot.late_run(t, level, inner_end, end_ms);
    END IF;
    first_ms := inner_first;
    end_ms := inner_end;
  END LOOP;
  RETURN total + kvot.late_run(t, 3, first_ms, end_ms);
END $$;

-- One run of slots, from the one that begins at first_ms up to the one that begins at end_ms, which is not in it.
CREATE FUNCTION kvot.late_run(t kvot.turn, p_level integer, first_ms bigint, end_ms bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
  total bigint;
BEGIN
  SELECT coalesce(sum(l.tokens), 0) INTO total FROM kvot.late l
    WHERE l.company_id = t.company_id AND l.level = p_level::smallint
      AND l.slot >= first_ms >> (8 * p_level) AND l.slot < end_ms >> (8 * p_level);
  RETURN total;
END $$;

-- Tokens of all events later than an instant, those ahead of the clock too.
CREATE FUNCTION kvot.since(t kvot.turn, after_ms bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT t.head_cum - kvot.cum_at(t, after_ms)
    + CASE WHEN t.late_events > 0 THEN kvot.late_between(t, after_ms, 253402300799999) ELSE 0 END
$$;

-- Whether the total of all time stays within 64 bits.
CREATE FUNCTION kvot.has_room_for(t kvot.turn, p_tokens bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT p_tokens <= 9223372036854775807 - t.head_cum - t.late_tokens
$$;

-- Count tokens at an instant above the floor. The caller has seen that the company has room for them.
CREATE FUNCTION kvot.post(t kvot.turn, at_ms bigint, p_tokens bigint) RETURNS kvot.turn LANGUAGE plpgsql AS $$
BEGIN
  IF at_ms BETWEEN t.head_at AND t.clock AND p_tokens BETWEEN 0 AND 9223372036854775807 - t.head_cum THEN
    t.head_at := at_ms;
    t.head_cum := t.head_cum + p_tokens;
    INSERT INTO kvot.point AS p VALUES (t.company_id, at_ms, t.head_cum)
      ON CONFLICT (company_id, at) DO UPDATE SET cum = excluded.cum;
  ELSE
    INSERT INTO kvot.late AS l SELECT t.company_id, level, at_ms >> (8 * level), p_tokens FROM generate_series(0, 3) level
      ON CONFLICT (company_id, level, slot) DO UPDATE SET tokens = l.tokens + excluded.tokens;
    t.late_events := t.late_events + 1;
    t.late_tokens := t.late_tokens + p_tokens;
  END IF;
  RETURN t;
END $$;
