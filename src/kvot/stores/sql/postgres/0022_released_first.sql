-- A release can overtake its reserve. Of a reserve whose answer does not come nobody knows whether it was done, so the
-- gateway releases the hold by another connection; the reserve may lie before a backend that stands still, or on a network
-- that does. Where it then came after the release it held its tokens, and was charged for a call that was never sent.

-- The function of 0020_release_audit, which of the gateway's holds also remembers those that are not there.
CREATE OR REPLACE FUNCTION kvot.do_release(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  h kvot.hold := kvot.find_hold(t, asked->>'id');
BEGIN
  IF h.hold_id IS NULL THEN
    PERFORM kvot.close_unmade(t, asked->>'id');
    t.status := 'not_found';
  ELSIF h.state IN ('released', 'expired') THEN
    t.status := 'replayed';
  ELSIF h.state = 'settled' THEN
    t.status := 'conflict';
  ELSIF h.state = 'charged' THEN
    t := kvot.take_back(t, h, asked->>'actor');
  ELSE
    t.status := 'done';
  END IF;
  IF t.status = 'done' THEN
    RETURN kvot.close_hold(t, h, 'released');
  END IF;
  t.hold := h;
  RETURN t;
END $$;

-- Take the id of a hold of the gateway's own (a UUID of version 8, which nobody else may end), so that no reserve can any
-- more: it asks for some tokens, and not for none, which is a conflict. Pruned as any hold is.
CREATE FUNCTION kvot.close_unmade(t kvot.turn, p_hold_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF p_hold_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' THEN
    INSERT INTO kvot.hold (company_id, hold_id, amount, ttl_ms, dispatched_asked, dispatched, label_set_no, created_at,
        expires_at, state, closed_at)
      VALUES (t.company_id, p_hold_id, 0, 0, false, false, 0, t.clock, t.clock, 'released', t.clock);
  END IF;
END $$;
