-- What a daemon reads and calls. State changes are functions; JSON travels as text.

-- name: daemon_identity
-- Who the daemon is for the database, and whether it may work at all.
select oid as role_oid,
    coalesce(has_function_privilege('jobd.claim(uuid, text[], int, text[])', 'execute'), false) as may_claim
from pg_roles
where rolname = current_user;

-- name: daemon_schema_is_noted
-- Whether the schema notes which version each worker knows; that of the release before does not.
select to_regprocedure('jobd.register_worker(uuid, text, text, int, text, text[], int, float8, float8, int)') is not null;

-- name: daemon_register
select jobd.register_worker(
    $1::uuid, $2::text, $3::text, $4::int, $5::text, $6::text[], $7::int, $8::float8, $9::float8, $10::int
);

-- name: daemon_register_without_schema
select jobd.register_worker($1::uuid, $2::text, $3::text, $4::int, $5::text, $6::text[], $7::int, $8::float8, $9::float8);

-- name: daemon_beat
-- Renew the lease, bring back the running jobs with their stop flags, and tell whether workers look dead. No arrays:
-- the driver would have to ask for their types on each new connection, which takes longer than the beat.
select
    beat.job_id, beat.lease_token, beat.cancel_requested, beat.pause_requested,
    exists (select from jobd.dead_workers($1::uuid)) as is_any_dead
from (values (1)) as always (one)
left join jobd.heartbeat($1::uuid, $2::float8, $3::int, $4::timestamptz, $5::bigint, $6::boolean) as beat on true;

-- name: daemon_deregister
select jobd.deregister_worker($1::uuid);

-- name: daemon_claim
-- The listed columns are those of jobd.model.job, and what only the runner reads.
select
    id, job_type, queue, priority, status, version, serial_key, run_at, source, source_type, filename, file_hash,
    target, handler, options, metadata, created_by, tenant, related_dataset_id, idempotency_key, estimated_rows,
    max_retries, batch_id, after, cancel_requested, pause_requested, retry_count, interrupt_count, lost_lease_count,
    duplicate_of, parent_id, total_rows, processed_rows, success_count, error_count, items_added, items_updated,
    items_unchanged, items_skipped, items_removed, errors_not_stored, progress, files_total, files_done, current_file,
    cursor, detected, result, error_code, error_message, waiting_reason, worker_id, lease_token, cancellation_reason,
    submitted_role, submitted_role_oid, created_at, updated_at, started_at, completed_at, cancelled_at, paused_at,
    claimed_at, ran_seconds
from jobd.claim($1::uuid, $2::text[], $3::int, $4::text[]);

-- name: daemon_next_due
select extract(epoch from jobd.next_due_at($1::text[]) - clock_timestamp())::float8;

-- name: daemon_begin
select jobd.begin(
    $1::uuid, $2::bigint, $3::jsonb, $4::bigint, $5::bigint, $6::text, $7::int, $8::text,
    $9::text[], $10::bigint[], $11::timestamptz[], $12::text[]
);

-- name: daemon_begin_bundle
select jobd.begin_bundle(
    $1::uuid[], $2::bigint[], $3::jsonb[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[],
    $9::timestamptz[]
);

-- name: daemon_files
-- The files of a job, as its first start listed them.
select position, file, size_bytes, (extract(epoch from modified_at) * 1e6)::bigint as modified_us, file_hash, status,
    error_code, detected
from jobd.job_file
where job_id = $1::uuid
order by position;

-- name: daemon_target_state
-- A digest of what imports look up about a target.
select jobd.target_state($1::text, $2::oid);

-- name: daemon_may_repeat
-- Whether content of this size was imported into the target in the same way.
select exists (
    select from jobd.import_ledger
    where submitted_role_oid = $1::oid and target = $2::text and settings = $3::jsonb and size_bytes = $4::bigint
);

-- name: daemon_hashes_imported
-- Which of these hashes content had that was imported into the target in the same way.
select distinct file_hash
from jobd.import_ledger
where submitted_role_oid = $1::oid and target = $2::text and settings = $3::jsonb and file_hash = any ($4::text[]);

-- name: daemon_repeats
-- The last job that imported this very content into the target in the same way.
select job_id
from jobd.import_ledger
where submitted_role_oid = $1::oid and target = $2::text and settings = $3::jsonb and file_hash = $4::text
order by id desc
limit 1;

-- name: daemon_files_before
-- What the files of a source contained when the submitter last imported it into this target; nothing after a revert,
-- which took rows away that any of the earlier imports may have brought.
with earlier as (
    select j.id, j.created_at, j.completed_at, j.status
    from jobd.job j
    where md5(j.source) = md5($2::text) and j.source is not null
        and j.job_type = 'import'
        and j.source = $2::text and j.target = $3::text and j.submitted_role_oid = $1::oid and j.id <> $4::uuid
)
select f.file, f.file_hash
from jobd.job_file f
where f.status in ('completed', 'unchanged')
    and f.job_id = (
        select e.id
        from earlier e
        where e.status = 'completed'
            and not exists (
                select from jobd.job_change c join earlier r on r.id = c.job_id where c.reverted_at > e.created_at
            )
        order by e.completed_at desc
        limit 1
    );

-- name: daemon_finish
select job_id, status
from jobd.finish(
    $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::float8[], $8::bigint[]
);

-- name: daemon_log
select jobd.log($1::uuid, $2::text, $3::text, $4::jsonb);

-- name: daemon_job_state
-- What a job's row says now: after a lost connection, a notification, or an ending that nobody confirmed.
select id, lease_token, status, worker_id, cancel_requested, pause_requested, cursor, error_count, processed_rows
from jobd.job
where id = any ($1::uuid[]);

-- name: daemon_submitter
-- How a submitter's jobs connect, as whom they act, and what they may read: null is all that the daemon may. Who is
-- limited to directories reads nothing remote, and the other way round, unless both are given.
select
    login_name,
    quote_ident(pg_get_userbyid(role_oid)) as quoted_role,
    case when source_prefixes is null then import_roots else coalesce(import_roots, '{}') end as import_roots,
    case when import_roots is null then source_prefixes else coalesce(source_prefixes, '{}') end as source_prefixes
from jobd.submitter where role_oid = $1::oid;

-- name: daemon_dead_workers
select worker_id, login_names from jobd.dead_workers($1::uuid);

-- name: daemon_terminate_backends
select jobd.terminate_backends($1::uuid);

-- name: daemon_rescue
select job_id, former_worker_id, status, reason, queue from jobd.rescue($1::uuid, $2::int);

-- name: daemon_open_gates
select jobd.open_gates($1::int);

-- name: daemon_prune
select jobd.prune(make_interval(days => $1::int));

-- name: daemon_sample_queues
select queue, status, jobs, oldest_due_age_seconds, is_paused, overdue, wait_objective_seconds
from jobd.sample_queues();

-- name: daemon_sample_server
-- What the server says of itself, and of what stands in jobd's way. How long transactions of others have been open is
-- null for those who may not see it.
select
    extract(epoch from clock_timestamp())::float8 as clock,
    (select max(version) from jobd.schema_version) as schema_version,
    (select max((to_jsonb(v) ->> 'compatible_from')::int) from jobd.schema_version as v) as compatible_from,
    (select n_tup_ins from pg_stat_all_tables where relid = 'jobd.job'::regclass) as inserted_jobs,
    (
        select max(extract(epoch from clock_timestamp() - xact_start))::float8
        from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()
    ) as oldest_transaction_seconds,
    waiting.sessions as lock_waiters,
    waiting.seconds as lock_wait_seconds
from (
    select
        count(distinct lock.pid) as sessions,
        coalesce(max(extract(epoch from clock_timestamp() - lock.waitstart)), 0)::float8 as seconds
    from pg_locks as lock
    inner join pg_stat_activity as activity on lock.pid = activity.pid
    where not lock.granted and activity.datname = current_database() and activity.application_name like 'jobd%'
) as waiting;

-- name: daemon_sample_tables
-- Rows and bytes of jobd's largest tables, by the server's statistics.
select relname as relation, n_live_tup as live, n_dead_tup as dead, pg_total_relation_size(relid) as bytes
from pg_stat_all_tables
where schemaname = 'jobd' and relname = any ($1::text[]);

-- name: daemon_listener_presence
select pid, backend_start from pg_stat_activity where pid = pg_backend_pid();

-- name: daemon_echo
select pg_notify($1::text, $2::text);

-- name: batch_begin
-- One simple query. What code of other people's may have set for the session is set anew for each transaction.
begin isolation level read committed read write;
set local datestyle = 'ISO, YMD';
set local intervalstyle = 'postgres';
set local timezone = 'UTC';
set local search_path = "$user", public;
set local bytea_output = 'hex';
set local lock_timeout = '3s';
set local statement_timeout = 0;
set local idle_in_transaction_session_timeout = '60s';

-- name: batch_commit
-- The types are qualified, since code of other people's may have made some of the same names in pg_temp.
select lease_token, cancel_requested, pause_requested, error_count, processed_rows
from jobd.commit_batch(
    $1::pg_catalog.uuid, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint,
    $8::pg_catalog.jsonb, $9::pg_catalog.float8, $10::bigint, $11::pg_catalog.text,
    $12::bigint[], $13::bigint[], $14::pg_catalog.text[], $15::pg_catalog.text[], $16::pg_catalog.text[],
    $17::pg_catalog.text[], $18::pg_catalog.text[], $19::pg_catalog.text[], $20::pg_catalog.text[],
    $21::pg_catalog.text[],
    $22::bigint[], $23::pg_catalog.text[], $24::pg_catalog.bytea[], $25::pg_catalog.jsonb, $26::pg_catalog.text[]
);

-- name: batch_commit_bundle
-- The same for many jobs whose records, none of them refused, are in one transaction.
select job_id, lease_token, error_count, processed_rows
from jobd.commit_bundle(
    $1::pg_catalog.uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::pg_catalog.jsonb[]
);

-- name: session_prepare
-- One simple query, again after DISCARD ALL. The server notices a client that vanished while it works for it;
-- staging tables fit in memory; compiling a plan costs more than running jobd's short statements.
set tcp_keepalives_idle = 10;
set tcp_keepalives_interval = 5;
set tcp_keepalives_count = 3;
set tcp_user_timeout = 30000;
set temp_buffers = '32MB';
set jit = off;

-- name: session_without_notify
set jobd.notify = off;

-- name: session_of_login
-- A login may be set to take another role when it connects; its own is what ends its backends.
set role none;

-- name: session_backend
-- The backend behind a pooler that runs this transaction.
select pg_catalog.pg_backend_pid();

-- name: session_is_of_living_role
-- Raises where the role that the session belongs to was dropped, though there may be another of its name.
select session_user;

-- name: session_terminate_predecessor
-- End the backend of a lost connection, so that it neither commits nor holds locks any more.
select pg_terminate_backend(pid, 5000)
from pg_stat_activity
where pid = $1::int and application_name = $2::text and usename = session_user and datname = current_database();
