-- What tells the secret that keys are made under from another: an HMAC of fixed words. Nothing opens or proves with it.
CREATE TABLE kvot.secret_check(
  one    boolean PRIMARY KEY CHECK (one),
  digest bytea NOT NULL
);

-- Whether keys are made under the secret of this digest; where none is known yet, they are from now on.
CREATE FUNCTION kvot.bind_secret(p_digest bytea) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO kvot.secret_check VALUES (true, p_digest) ON CONFLICT DO NOTHING;
  RETURN (SELECT c.digest = p_digest FROM kvot.secret_check c);
END $$;

-- Take a secret from now on, whichever it was before. The version of keys after it.
CREATE FUNCTION kvot.replace_secret(p_digest bytea, given_ms bigint, drift_max_ms bigint, p_actor text) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM kvot.keys_version FOR UPDATE;
  INSERT INTO kvot.secret_check AS kept VALUES (true, p_digest)
    ON CONFLICT (one) DO UPDATE SET digest = excluded.digest;
  RETURN kvot.keys_changed(kvot.time_of(given_ms, drift_max_ms), p_actor, 'accept_secret', NULL, 'secret', '{}');
END $$;
