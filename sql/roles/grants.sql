-- Who may do what, each with its reason. Rows are a matter of row_security.sql; which columns of jobd.job may be
-- set is a matter of its triggers, which can say what to do instead ("permission denied for table job" cannot).
--
-- Every function of jobd's appears here or is internal; none is for PUBLIC (defaults in create.sql; the first
-- statement below also covers functions that an older release made).

revoke execute on all functions in schema jobd from public;

grant usage on schema jobd to jobd_submitter, jobd_worker, jobd_monitor, jobd_admin;

-- Monitoring sees what the views show, and has no right on any table.
grant select on
    jobd.active_jobs, jobd.job_progress, jobd.queue_stats,
    jobd.visible_job, jobd.visible_worker, jobd.visible_queue  -- what those read, with the caller's rights
to jobd_monitor, jobd_submitter, jobd_worker, jobd_admin;

-- The table is the API: an application submits by INSERT and controls by UPDATE of a flag.
grant select, insert on jobd.job to jobd_submitter, jobd_worker, jobd_admin;
grant update on jobd.job to jobd_worker, jobd_admin;
-- A submitter may UPDATE each of the columns, which is all the same to an UPDATE, but not the table: that would let
-- it LOCK the table, and with it everybody's queue.
do $columns$
begin
    if has_table_privilege('jobd_submitter', 'jobd.job', 'update') then
        revoke update on jobd.job from jobd_submitter;  -- an older release granted it
    end if;
    execute (
        select format('grant update (%s) on jobd.job to jobd_submitter', string_agg(quote_ident(a.attname), ', '))
        from pg_catalog.pg_attribute a
        where a.attrelid = 'jobd.job'::regclass and a.attnum > 0 and not a.attisdropped
    );
end
$columns$;
-- Bytes to import may be kept in the database, and taken away again.
grant select, insert, delete on jobd.blob to jobd_submitter, jobd_worker, jobd_admin;
-- What jobd writes about a job.
grant select on
    jobd.job_event, jobd.job_error, jobd.job_error_group, jobd.job_reject, jobd.job_log, jobd.job_file,
    jobd.job_change, jobd.import_ledger
to jobd_submitter, jobd_worker, jobd_admin;
-- jobd.revert says of each change whether it was undone.
grant update (reverted_at, revert_problem) on jobd.job_change to jobd_submitter, jobd_worker, jobd_admin;
-- Why a job waits (jobd.explain), which statuses and options there are, and, through its policy, which submitters
-- the caller is: the other policies read jobd.submitter with the caller's rights.
grant select on jobd.worker, jobd.queue, jobd.transition, jobd.option, jobd.submitter
to jobd_submitter, jobd_worker, jobd_admin;
-- A daemon looks at its start whether the schema is one it can work with, and the database its environment's.
grant select on jobd.schema_version, jobd.schema_text, jobd.environment to jobd_worker, jobd_admin;
-- `jobd grant` by an administrator who is no superuser.
grant insert, update, delete on jobd.submitter to jobd_admin;

-- What an INSERT or UPDATE of a job calls with the caller's own rights: defaults, checks, triggers.
grant execute on function
    jobd.uuid7, jobd.submitting_role, jobd.gate, jobd.refuse_value, jobd.refuse_taken_key, jobd.nearest,
    jobd.column_hint, jobd.is_undone
to jobd_submitter, jobd_worker, jobd_admin;

-- Submitting, control and reading; each runs with the caller's rights, so row-level security decides which job it
-- may be.
grant execute on function
    jobd.submit, jobd.cancel, jobd.pause, jobd.resume, jobd.retry, jobd.set_priority, jobd.erase, jobd.revert,
    jobd.cancel_batch, jobd.pause_batch, jobd.resume_batch,
    jobd.lock_job, jobd.revert_target, jobd.revert_statements,  -- parts of the above
    jobd.explain, jobd.job_errors_json, jobd.reject_columns, jobd.rejects_csv, jobd.reject_null,
    jobd.explain_stopped, jobd.explain_pending, jobd.explain_workers, jobd.explain_running  -- parts of jobd.explain
to jobd_submitter, jobd_worker, jobd_admin;

-- A queue is shared by its submitters: who stops it stops them all.
grant execute on function jobd.pause_queue, jobd.resume_queue, jobd.set_queue_objective, jobd.prune, jobd.prune_ledger
to jobd_worker, jobd_admin;
-- Takes a job from a worker that lives.
grant execute on function jobd.release to jobd_admin;

-- The daemon. These run with the owner's rights and check the lease; the worker has no right to write these tables.
grant execute on function
    jobd.register_worker, jobd.heartbeat, jobd.deregister_worker, jobd.claim, jobd.next_due_at, jobd.begin,
    jobd.begin_bundle, jobd.finish, jobd.rescue, jobd.dead_workers, jobd.open_gates, jobd.log, jobd.sample_queues,
    jobd.target_state, jobd.environment_obstacle
to jobd_worker;
-- Batches run on a connection that is authenticated as the submitter's login, and that login ends its own
-- connections when its worker died. commit_batch looks at session_user; terminate_backends has no rights to lend.
grant execute on function
    jobd.commit_batch, jobd.commit_bundle, jobd.record_changes, jobd.terminate_backends
to jobd_worker, jobd_submitter;

-- Setting submitters up. These run with the caller's rights, so that without CREATEROLE they can do nothing; the
-- worker may have the statements printed for an administrator.
grant execute on function jobd.login_name, jobd.submitter_statements to jobd_worker, jobd_admin;
grant execute on function jobd.grant_submitter, jobd.revoke_submitter to jobd_admin;
