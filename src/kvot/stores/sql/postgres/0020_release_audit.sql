-- Whoever takes back the charge of a hold that ran out leaves a line in the audit log, as whoever corrects an event does.

-- The function of 0006_holds, with the line. A figure that comes late (do_settle) leaves none: it is what was measured, and
-- nobody's decision.
--
-- asked: id, actor (null: nobody's decision, as of the gateway's own releases).
CREATE OR REPLACE FUNCTION kvot.do_release(t kvot.turn, asked jsonb) RETURNS kvot.turn LANGUAGE plpgsql AS $$
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

-- Correct the charge to zero, and say whose doing that is.
CREATE FUNCTION kvot.take_back(t kvot.turn, h kvot.hold, p_actor text) RETURNS kvot.turn LANGUAGE plpgsql AS $$
DECLARE
  corrected bigint;
BEGIN
  t := kvot.correct_charge(t, h, '{"tokens": 0}');
  IF t.status = 'done' AND p_actor IS NOT NULL THEN
    SELECT c.tokens INTO STRICT corrected FROM kvot.event c
      WHERE c.company_id = t.company_id AND c.event_id = 'late→' || h.hold_id;
    PERFORM kvot.note_change(t, p_actor, 'release', h.hold_id, jsonb_build_object('tokens_taken_back', -corrected));
  END IF;
  RETURN t;
END $$;
