-- All that makes the schema a distributed one, and the only file that knows Citus. `kvot migrate --citus` runs it on the
-- coordinator after the steps. The tables, and the functions that ask them, go by company: every operation is then one
-- call on the worker that has the company, and no statement on the way of a call asks two workers.
--
-- Kvot's repository has no Citus to run this against: it is tested against a stub of the three functions below.

-- A distributed table takes no triggers, so the guards go; rights can take their place:
-- REVOKE UPDATE ON kvot.event, UPDATE, DELETE ON kvot.audit.
DROP TRIGGER IF EXISTS event_is_never_changed ON kvot.event;
DROP TRIGGER IF EXISTS audit_is_never_changed ON kvot.audit;
DROP TRIGGER IF EXISTS key_audit_is_never_changed ON kvot.key_audit;

-- A transaction of several companies would ask several workers. Without it each company has calls of its own.
DROP FUNCTION IF EXISTS kvot.write_free(uuid[], bigint[], bigint, jsonb[]);

SELECT create_distributed_table('kvot.company', 'company_id', colocate_with => 'none');
SELECT create_distributed_table('kvot.budget', 'company_id', colocate_with => 'kvot.company');
SELECT create_distributed_table('kvot.point', 'company_id', colocate_with => 'kvot.company');
SELECT create_distributed_table('kvot.late', 'company_id', colocate_with => 'kvot.company');
SELECT create_distributed_table('kvot.label_set', 'company_id', colocate_with => 'kvot.company');
SELECT create_distributed_table('kvot.event', 'company_id', colocate_with => 'kvot.company');
SELECT create_distributed_table('kvot.hold', 'company_id', colocate_with => 'kvot.company');
SELECT create_distributed_table('kvot.rollup', 'company_id', colocate_with => 'kvot.company');
SELECT create_distributed_table('kvot.audit', 'company_id', colocate_with => 'kvot.company');
SELECT create_distributed_table('kvot.sweep', 'company_id', colocate_with => 'kvot.company');
SELECT create_distributed_table('kvot.stored_reply', 'company_id', colocate_with => 'kvot.company');
SELECT create_distributed_table('kvot.provider_key', 'company_id', colocate_with => 'kvot.company');

-- What belongs to no company is on every worker. Keys change seldom and are looked up by every process.
SELECT create_reference_table('kvot.api_key');
SELECT create_reference_table('kvot.keys_version');
SELECT create_reference_table('kvot.key_audit');
SELECT create_reference_table('kvot.secret_check');
SELECT create_reference_table('kvot.unfinished_copy');
SELECT create_reference_table('kvot.schema_version');

-- The operations run where their company is.
SELECT create_distributed_function('kvot.write(uuid, bigint[], bigint, jsonb)', '$1', colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.record_new(uuid, bigint[], bigint, bigint, text[], bigint[], bigint[], text[],
  integer[], jsonb, bigint[], bigint[], bigint[], bigint[])', '$1', colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.usage(uuid, bigint[], bigint, bigint, bigint, bigint)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.hold_now(uuid, bigint[], bigint, bigint, text)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.open_holds(uuid, bigint[], bigint, bigint, bigint)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.tagged_holds(uuid, bigint[], bigint, bigint, text[], bigint, bigint)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.series(uuid, bigint[], bigint, bigint, bigint[], bigint)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.breakdown(uuid, bigint[], bigint, bigint, integer, bigint, bigint)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.when_fits(uuid, bigint[], bigint, bigint, bigint)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.budget_read(uuid, bigint[], bigint, bigint, bigint)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.verify(uuid, bigint[], bigint, bigint)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.sweep_piece(uuid, bigint, integer, text, integer)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.close_piece(uuid, bigint[], bigint, bigint)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.find_reply(uuid, bigint, bigint, text, text, bigint)', '$1',
  colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.first_audit_break(uuid)', '$1', colocate_with => 'kvot.company');
SELECT create_distributed_function('kvot.label_set_no(uuid, text[])', '$1', colocate_with => 'kvot.company');

-- What they call must be there too. It has no company as an argument of its own and is never called from outside.
SELECT create_distributed_function(p.oid::regprocedure)
FROM pg_proc p
WHERE p.pronamespace = 'kvot'::regnamespace AND p.proname NOT IN ('write', 'record_new', 'usage', 'hold_now', 'open_holds',
  'tagged_holds', 'series', 'breakdown', 'when_fits', 'budget_read', 'verify', 'sweep_piece', 'first_audit_break', 'label_set_no',
  'find_reply', 'close_piece', 'refuse_change', 'add_key',
  'revoke_key', 'keys_changed', 'set_provider_key', 'remove_provider_key', 'bind_secret', 'replace_secret', 'first_key_audit_break',
  'verify_shared', 'stray_rows', 'companies_with_due_holds')
ORDER BY p.oid;
