-- Behind the public views: what the caller may see of the jobs that are alive. Internal; read the public views.
--
-- The public views run with the caller's rights (security_invoker), and a monitor has rights on views only, not on
-- jobd.job. So these run with their owner's rights and ask for themselves what row-level security asks of the
-- table (tests hold the two equal); security_barrier keeps functions of the caller's own from seeing a row before
-- that is decided. Workers, administrators and superusers count as monitors.
-- New columns are added at the end.

create or replace view jobd.visible_job with (security_barrier) as
select
    j.id, j.job_type, j.queue, j.priority, j.serial_key, j.run_at, j.source, j.source_type, j.filename, j.file_hash,
    j.target, j.handler, j.options, j.metadata, j.created_by, j.tenant, j.related_dataset_id, j.idempotency_key,
    j.estimated_rows, j.max_retries, j.batch_id, j.after, j.cancel_requested, j.pause_requested, j.status, j.version,
    j.retry_count, j.interrupt_count, j.lost_lease_count, j.duplicate_of, j.parent_id, j.total_rows, j.processed_rows,
    j.success_count, j.error_count, j.items_added, j.items_updated, j.items_unchanged, j.items_skipped,
    j.items_removed, j.errors_not_stored, j.progress, j.files_total, j.files_done, j.current_file, j.cursor, j.result,
    j.error_code, j.error_message, j.waiting_reason, j.worker_id, j.lease_token, j.cancellation_reason,
    j.submitted_role, j.created_at, j.updated_at, j.started_at, j.completed_at, j.cancelled_at, j.paused_at,
    j.erased_at,
    j.claimed_at, j.ran_seconds  -- for the rate
from jobd.job j
where (j.status in ('pending', 'running', 'paused') or j.completed_at > now() - interval '5 minutes')
  and (
      (select pg_has_role('jobd_monitor', 'USAGE'))
      or j.submitted_role_oid = any (
          array(select s.role_oid from jobd.submitter s where pg_has_role(s.role_oid, 'USAGE'))
      )
  );

comment on view jobd.visible_job is 'Internal: the rows behind jobd.active_jobs and jobd.job_progress.';

create or replace view jobd.visible_worker with (security_barrier) as
select w.id, w.memory_bytes from jobd.worker w;

comment on view jobd.visible_worker is 'Internal: what jobd.job_progress shows of a worker.';

-- Each number is one bounded walk through one index (job_claim, job_held, job_status).
create or replace view jobd.visible_queue with (security_barrier) as
select
    q.name as queue,
    q.is_paused,
    least(due.count + later.count + held.count, 10000) as pending,
    least(due.count, 10000) as due,
    running.count as running,
    paused.count as paused,
    greatest(extract(epoch from clock_timestamp() - oldest.run_at)::float8, 0) as oldest_due_age_seconds
from jobd.queue q
cross join (
    select
        (select pg_has_role('jobd_monitor', 'USAGE')) as sees_all,
        array(select s.role_oid from jobd.submitter s where pg_has_role(s.role_oid, 'USAGE')) as own
) as caller
cross join lateral (
    select coalesce(sum(by_priority.count), 0)::bigint as count
    from (values ('high'), ('normal'), ('low')) as p (priority)
    cross join lateral (
        select count(*) from (
            select from jobd.job j
            where j.queue = q.name and j.priority = p.priority and j.run_at <= now()
              and j.status = 'pending' and not j.is_held
              and (caller.sees_all or j.submitted_role_oid = any (caller.own))
            limit 10000
        ) as capped
    ) as by_priority
) as due
cross join lateral (
    select coalesce(sum(by_priority.count), 0)::bigint as count
    from (values ('high'), ('normal'), ('low')) as p (priority)
    cross join lateral (
        select count(*) from (
            select from jobd.job j
            where j.queue = q.name and j.priority = p.priority and j.run_at > now()
              and j.status = 'pending' and not j.is_held
              and (caller.sees_all or j.submitted_role_oid = any (caller.own))
            limit 10000
        ) as capped
    ) as by_priority
) as later
cross join lateral (
    select count(*) from (
        select from jobd.job j
        where j.queue = q.name and j.is_held and j.status = 'pending'
          and (caller.sees_all or j.submitted_role_oid = any (caller.own))
        limit 10000
    ) as capped
) as held
cross join lateral (
    select count(*) from jobd.job j
    where j.queue = q.name and j.status = 'running'
      and (caller.sees_all or j.submitted_role_oid = any (caller.own))
) as running
cross join lateral (
    select count(*) from (
        select from jobd.job j
        where j.queue = q.name and j.status = 'paused'
          and (caller.sees_all or j.submitted_role_oid = any (caller.own))
        limit 10000
    ) as capped
) as paused
cross join lateral (
    select min(first.run_at) as run_at
    from (values ('high'), ('normal'), ('low')) as p (priority)
    cross join lateral (
        select j.run_at from jobd.job j
        where j.queue = q.name and j.priority = p.priority and j.run_at <= now()
          and j.status = 'pending' and not j.is_held
          and (caller.sees_all or j.submitted_role_oid = any (caller.own))
        order by j.run_at
        limit 1
    ) as first
) as oldest;

comment on view jobd.visible_queue is 'Internal: the rows behind jobd.queue_stats.';
