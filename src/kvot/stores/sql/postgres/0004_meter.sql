-- Usage at an instant and when tokens come back, with holds that are due but not yet closed seen as closed.

-- What the budget was at an instant: limit and days.
CREATE FUNCTION kvot.budget_at(t kvot.turn, at_ms bigint, OUT p_limit integer, OUT p_days integer)
LANGUAGE plpgsql STABLE AS $$
BEGIN
  p_limit := t.token_limit;
  p_days := t.window_days;
  IF at_ms < t.clock AND t.has_budget THEN
    SELECT b.token_limit, b.window_days INTO p_limit, p_days FROM kvot.budget b
      WHERE b.company_id = t.company_id AND b.effective_at <= at_ms ORDER BY b.seq DESC LIMIT 1;
    IF NOT FOUND THEN
      p_limit := t.default_limit;
      p_days := t.default_days;
    END IF;
  END IF;
END $$;

-- Tokens in (after_ms, through_ms], with the charges of holds that are due at the clock. After the floor only.
CREATE FUNCTION kvot.used_between(t kvot.turn, after_ms bigint, through_ms bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
  used bigint := CASE WHEN through_ms >= t.head_at THEN t.head_cum ELSE kvot.cum_at(t, through_ms) END
    - kvot.cum_at(t, after_ms) + CASE WHEN t.late_events > 0 THEN kvot.late_between(t, after_ms, through_ms) ELSE 0 END;
  charges bigint;
BEGIN
  IF t.due_at <= t.clock THEN
    SELECT coalesce(sum(h.amount), 0) INTO charges FROM kvot.hold h
      WHERE h.company_id = t.company_id AND h.state = 'open' AND h.dispatched
        AND h.expires_at > after_ms AND h.expires_at <= least(through_ms, t.clock);
    used := used + charges;
  END IF;
  RETURN used;
END $$;

-- Tokens of the holds that are open at an instant.
CREATE FUNCTION kvot.held_at(t kvot.turn, at_ms bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  total bigint;
BEGIN
  IF at_ms = t.clock THEN
    IF t.due_at IS NULL OR t.due_at > at_ms THEN
      RETURN t.held;
    END IF;
    SELECT t.held - coalesce(sum(h.amount), 0) INTO total FROM kvot.hold h
      WHERE h.company_id = t.company_id AND h.state = 'open' AND h.expires_at <= at_ms;
    RETURN total;
  END IF;
  SELECT coalesce(sum(h.amount), 0) INTO total FROM kvot.hold h
    WHERE h.company_id = t.company_id AND h.created_at > at_ms - t.hold_span_ms AND h.created_at <= at_ms
      AND coalesce(h.closed_at, h.expires_at) > at_ms;
  RETURN total;
END $$;

-- The first instant from the clock on at which so many tokens fit if nothing else happens; NULL if they never will.
-- What counts against the limit can only fall while nothing new is spent, so one may bisect. An event counts until it
-- leaves the window; a hold until it runs out, and if its call was sent its charge for a window after that.
CREATE FUNCTION kvot.fits_at(t kvot.turn, p_tokens bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  window_ms bigint := t.window_days * 86400000::bigint;
  expiries bigint[];                        -- of the open holds, ascending
  amounts bigint[];                         -- their amounts, summed up to each
  charges bigint[];                         -- the amounts of those whose call was sent, summed up to each
  open_count integer := 0;
  first_ms bigint := t.clock;
  last_ms bigint := t.head_at;
  last_late bigint;
  middle bigint;
  due integer;
  taken bigint;
BEGIN
  IF t.in_doubt OR p_tokens > t.token_limit THEN
    RETURN NULL;
  END IF;
  IF t.due_at IS NOT NULL THEN
    SELECT array_agg(o.expires_at ORDER BY o.n), array_agg(o.amounts ORDER BY o.n), array_agg(o.charges ORDER BY o.n)
      INTO expiries, amounts, charges
      FROM (SELECT h.expires_at, row_number() OVER w AS n, (sum(h.amount) OVER w)::bigint AS amounts,
              (sum(CASE WHEN h.dispatched THEN h.amount ELSE 0 END) OVER w)::bigint AS charges
            FROM kvot.hold h WHERE h.company_id = t.company_id AND h.state = 'open'
            WINDOW w AS (ORDER BY h.expires_at, h.hold_id ROWS UNBOUNDED PRECEDING)) o;
    open_count := coalesce(cardinality(expiries), 0);
  END IF;
  IF open_count > 0 THEN
    last_ms := greatest(last_ms, expiries[open_count]);
  END IF;
  IF t.late_events > 0 THEN
    SELECT max(l.slot) INTO last_late FROM kvot.late l WHERE l.company_id = t.company_id AND l.level = 0;
    last_ms := greatest(last_ms, last_late);
  END IF;
  last_ms := last_ms + window_ms;
  WHILE first_ms < last_ms LOOP
    middle := (first_ms + last_ms) / 2;
    taken := kvot.since(t, middle - window_ms);
    IF open_count > 0 THEN
      due := width_bucket(middle, expiries);
      taken := taken + amounts[open_count] - coalesce(amounts[due], 0)
        + coalesce(charges[due], 0) - coalesce(charges[width_bucket(middle - window_ms, expiries)], 0);
    END IF;
    IF taken <= t.token_limit - p_tokens THEN
      last_ms := middle;
    ELSE
      first_ms := middle + 1;
    END IF;
  END LOOP;
  RETURN first_ms;
END $$;
