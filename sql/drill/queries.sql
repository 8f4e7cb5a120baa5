-- What `jobd drill` asks and does. Its jobs are those of one batch_id.

-- name: drill_foreign_jobs
-- Jobs that no drill submitted, and the newest of them.
select
    count(*) as jobs,
    (array_agg(j.id order by j.created_at desc))[1] as id,
    (array_agg(j.queue order by j.created_at desc))[1] as queue,
    (array_agg(coalesce(j.filename, j.source, j.handler) order by j.created_at desc))[1] as source
from jobd.job j
where j.created_by is distinct from 'jobd drill';

-- name: drill_live_workers
-- Daemons that would be hurt.
select w.name, w.host, w.pid from jobd.worker w where w.lost_at is null and w.lease_expires_at > clock_timestamp();

-- name: drill_submit
-- Submit jobs under ids of our own, so that it may be done again when the answer was lost.
insert into jobd.job (id, source, target, options, batch_id, queue, created_by)
select u.id, u.source, u.target, u.options::jsonb, $5, 'jobd_drill', 'jobd drill'
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as u (id, source, target, options)
on conflict (id) do nothing;

-- name: drill_now
-- The only clock that is compared.
select clock_timestamp() as now;

-- name: drill_running
-- Who has which job.
select j.id, j.target, w.name as worker
from jobd.job j
join jobd.worker w on w.id = j.worker_id
where j.batch_id = $1 and j.status = 'running';

-- name: drill_open
-- Jobs that have not ended.
select j.id, j.status from jobd.job j where j.batch_id = $1 and j.completed_at is null order by j.id;

-- name: drill_done
-- How far all is, for the line that moves.
select
    count(*) as jobs,
    count(j.completed_at) as ended,
    coalesce(sum(j.processed_rows), 0)::bigint as processed_rows
from jobd.job j
where j.batch_id = $1;

-- name: drill_batches
-- How many batches were committed.
select count(*) from jobd_drill.trail t where t.new_rows <> t.old_rows;

-- name: drill_backends
-- Connections of the drill's daemons.
select a.pid, a.application_name
from pg_stat_activity a
where a.datname = current_database() and a.application_name like 'jobd:%'
order by a.pid;

-- name: drill_terminate
-- End one of them.
select pg_terminate_backend($1);

-- name: drill_worker_name
-- Whose connection that was.
select w.name from jobd.worker w where 'jobd:' || w.id = $1;

-- name: drill_cancel
-- Give a job up.
select jobd.cancel($1, 'drill');

-- name: drill_pause
-- Stop a job.
select jobd.pause($1, 'drill');

-- name: drill_resume
-- Let it go on.
select jobd.resume($1);

-- name: drill_retry
-- Take a cancelled one up again.
select jobd.retry($1);

-- name: drill_explain
-- Why a job does not get on.
select jobd.explain($1);

-- name: drill_lock_row
-- Keep a job's row as an application may that has an open transaction.
select from jobd.job j where j.id = $1 for update;

-- name: drill_jobs
-- What became of each job.
select
    j.id, j.status, j.lease_token, j.processed_rows, j.success_count, j.error_count, j.items_added, j.items_updated,
    j.items_unchanged, j.items_skipped, j.items_removed, j.errors_not_stored, j.total_rows, j.progress,
    j.retry_count, j.interrupt_count, j.error_code, j.error_message, j.files_total, j.files_done,
    case when j.files_total = 1 then (j.cursor ->> 'row')::bigint end as cursor_rows
from jobd.job j
where j.id = any($1);

-- name: drill_files
-- The counters of each file.
select
    f.job_id, f.position, f.file, f.status, f.processed_rows, f.success_count, f.error_count, f.items_added,
    f.items_updated, f.items_unchanged, f.items_skipped
from jobd.job_file f
where f.job_id = any($1)
order by f.job_id, f.position;

-- name: drill_errors
-- The refused records, each once however many rows describe it.
select e.job_id, e.file, e.row_number, min(e.code) as code, count(distinct e.code) as codes
from jobd.job_error e
where e.job_id = any($1)
group by e.job_id, e.file, e.row_number;

-- name: drill_error_groups
-- How many records of which code.
select g.job_id, g.code, sum(g.count)::bigint as records
from jobd.job_error_group g
where g.job_id = any($1)
group by g.job_id, g.code;

-- name: drill_rejects
-- The refused records themselves.
select r.job_id, count(*) as records
from jobd.job_reject r
where r.job_id = any($1)
group by r.job_id;

-- name: drill_trail
-- What was committed, in its order.
select
    t.id, t.job_id, t.old_status, t.new_status, t.old_token, t.new_token, t.old_rows, t.new_rows, t.version,
    t.worker_id, t.at
from jobd_drill.trail t
join jobd.job j on j.id = t.job_id
where j.batch_id = $1
order by t.id;

-- name: drill_bundles
-- How many transactions committed batches of several jobs.
select count(*)
from (
    select from jobd_drill.trail t where t.new_rows <> t.old_rows
    group by t.transaction having count(distinct t.job_id) > 1
) b;

-- name: drill_events
-- jobd's own account.
select e.job_id, e.old_status, e.new_status, e.version
from jobd.job_event e
join jobd.job j on j.id = e.job_id
where j.batch_id = $1 and e.event_type in ('submitted', 'status_changed');

-- name: drill_transitions
-- What may follow what.
select t.old_status, t.new_status from jobd.transition t;

-- name: drill_forget_expected
-- Before what the tables must hold is written down.
truncate jobd_drill.expected_reading, jobd_drill.expected_entry, jobd_drill.expected_stock, jobd_drill.expected_small;

-- name: drill_differ_reading
-- Rows that the table lacks or has too much.
select count(*) over () as rows, d.what, d.row
from (
    select 'missing' as what, m::text as row
    from (table jobd_drill.expected_reading except all table jobd_drill.reading) m
    union all
    select 'too much', m::text
    from (table jobd_drill.reading except all table jobd_drill.expected_reading) m
) d
order by d.what, d.row
limit 5;

-- name: drill_differ_entry
-- The same of the table without a key.
select count(*) over () as rows, d.what, d.row
from (
    select 'missing' as what, m::text as row
    from (table jobd_drill.expected_entry except all table jobd_drill.entry) m
    union all
    select 'too much', m::text
    from (table jobd_drill.entry except all table jobd_drill.expected_entry) m
) d
order by d.what, d.row
limit 5;

-- name: drill_differ_small
-- The same of what came in bundles.
select count(*) over () as rows, d.what, d.row
from (
    select 'missing' as what, m::text as row
    from (table jobd_drill.expected_small except all table jobd_drill.small) m
    union all
    select 'too much', m::text
    from (table jobd_drill.small except all table jobd_drill.expected_small) m
) d
order by d.what, d.row
limit 5;

-- name: drill_differ_stock
-- Of each key that a job brought there must be one row, and it must be what one of them brought.
select count(*) over () as rows, d.what, d.row
from (
    select 'missing' as what, e.sku::text as row
    from (select sku from jobd_drill.expected_stock except select sku from jobd_drill.stock) e
    union all
    select 'too much', m::text
    from (table jobd_drill.stock except all select distinct * from jobd_drill.expected_stock) m
) d
order by d.what, d.row
limit 5;

-- name: drill_stock_keys
-- How many keys jobs brought.
select count(distinct e.sku) from jobd_drill.expected_stock e;
