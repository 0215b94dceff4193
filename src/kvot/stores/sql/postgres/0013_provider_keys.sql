-- Companies' own keys to providers, sealed: what is here opens with the server's secret alone, and only for this company
-- and this provider (kvot/operations/sealing.py). A change counts as one of keys: it is told and audited as those are.

CREATE TABLE kvot.provider_key(
  company_id uuid,
  provider   text COLLATE "C",
  sealed     bytea NOT NULL,
  set_at     bigint NOT NULL,
  set_by     text NOT NULL,
  PRIMARY KEY(company_id, provider)
);

-- The version after it.
CREATE FUNCTION kvot.set_provider_key(key kvot.provider_key, given_ms bigint, drift_max_ms bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM kvot.keys_version FOR UPDATE;
  INSERT INTO kvot.provider_key AS kept VALUES (key.company_id, key.provider, key.sealed, key.set_at, key.set_by)
    ON CONFLICT (company_id, provider) DO UPDATE
    SET sealed = excluded.sealed, set_at = excluded.set_at, set_by = excluded.set_by;
  RETURN kvot.keys_changed(kvot.time_of(given_ms, drift_max_ms), key.set_by, 'set_provider_key', key.company_id,
    key.provider, '{}');
END $$;

-- The version after it; NULL when there is no such key.
CREATE FUNCTION kvot.remove_provider_key(p_company uuid, p_provider text, given_ms bigint, drift_max_ms bigint,
  p_actor text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM kvot.keys_version FOR UPDATE;
  DELETE FROM kvot.provider_key k WHERE k.company_id = p_company AND k.provider = p_provider;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  RETURN kvot.keys_changed(kvot.time_of(given_ms, drift_max_ms), p_actor, 'remove_provider_key', p_company, p_provider,
    '{}');
END $$;
