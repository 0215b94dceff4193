-- API keys: only the keyed hash of a secret is here. Every change counts the version up, leaves a line in the audit log
-- and is told to whoever listens, all in one transaction.

-- The new version.
CREATE FUNCTION kvot.keys_changed(now_ms bigint, actor text, action text, company uuid, subject text, detail jsonb)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  new_version bigint;
  last kvot.key_audit;
BEGIN
  UPDATE kvot.keys_version SET version = version + 1 RETURNING version INTO new_version;
  SELECT * INTO last FROM kvot.key_audit a ORDER BY a.seq DESC LIMIT 1;
  INSERT INTO kvot.key_audit VALUES (coalesce(last.seq, 0) + 1, now_ms, actor, action, company, subject, detail,
    kvot.line_hash(last.hash, coalesce(last.seq, 0) + 1, now_ms, actor, action, company, subject, detail));
  PERFORM pg_notify('kvot_keys', new_version::text);
  RETURN new_version;
END $$;

-- The version after it; NULL, and nothing changed, when the id is taken.
CREATE FUNCTION kvot.add_key(key kvot.api_key, given_ms bigint, drift_max_ms bigint, p_actor text) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM kvot.keys_version FOR UPDATE;
  INSERT INTO kvot.api_key SELECT key.* ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  RETURN kvot.keys_changed(kvot.time_of(given_ms, drift_max_ms), p_actor, 'add_key', key.company_id, key.key_id,
    jsonb_build_object('roles', key.roles, 'name', key.name, 'expires_at_ms', key.expires_at, 'networks', key.networks));
END $$;

-- The version after it; NULL when there is no such key (in that company, if one is named).
CREATE FUNCTION kvot.revoke_key(p_key_id text, p_company uuid, given_ms bigint, drift_max_ms bigint, p_actor text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  key kvot.api_key;
  now_ms bigint := kvot.time_of(given_ms, drift_max_ms);
BEGIN
  PERFORM FROM kvot.keys_version FOR UPDATE;
  SELECT * INTO key FROM kvot.api_key k WHERE k.key_id = p_key_id AND (p_company IS NULL OR k.company_id = p_company);
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF key.revoked_at IS NOT NULL THEN
    RETURN (SELECT v.version FROM kvot.keys_version v);
  END IF;
  UPDATE kvot.api_key k SET revoked_at = now_ms WHERE k.key_id = p_key_id;
  RETURN kvot.keys_changed(now_ms, p_actor, 'revoke_key', key.company_id, p_key_id, '{}');
END $$;
