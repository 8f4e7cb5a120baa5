-- Reads of the command line.

-- name: cli_ids_between
-- The jobs whose id begins with given digits.
select id
from jobd.job
where id between $1::uuid and $2::uuid
order by id
limit $3;

-- name: cli_complete_jobs
-- What the shell offers where an id belongs: the newest jobs of these statuses whose id lies between two.
select newest.id, newest.status, newest.what
from unnest($1::text[]) as wanted (status)
cross join lateral (
    select job.id, job.status, job.created_at, coalesce(job.filename, job.handler) as what
    from jobd.job
    where job.status = wanted.status and job.id between $2::uuid and $3::uuid
    order by job.created_at desc
    limit $4
) as newest
order by newest.created_at desc
limit $4;

-- name: cli_complete_queues
-- The same for queues.
select name
from jobd.queue
order by name
limit $1;

-- name: cli_id_neighbours
-- The ids next to each of these, from which follows how short each may be written.
select
    wanted.id,
    (select job.id from jobd.job where job.id < wanted.id order by job.id desc limit 1) as before,
    (select job.id from jobd.job where job.id > wanted.id order by job.id limit 1) as after
from unnest($1::uuid[]) as wanted (id);

-- name: cli_active_ids
-- The jobs that are at work or wait, those at work first.
select id
from jobd.active_jobs
where status in ('running', 'pending', 'paused')
order by array_position(array['running', 'pending', 'paused'], status), created_at desc, id desc
limit $1;

-- name: cli_progress
-- What a progress bar shows. The time a job ran leaves out its waiting, pauses and retries.
select
    id,
    job_type,
    status,
    filename,
    current_file,
    target,
    progress,
    total_rows,
    estimated_rows,
    processed_rows,
    error_count,
    items_added,
    items_updated,
    items_unchanged,
    items_skipped,
    duplicate_of,
    error_code,
    error_message,
    cancellation_reason,
    waiting_reason,
    is_held,
    run_at,
    cancel_requested,
    pause_requested,
    ran_seconds
        + case when status = 'running' then extract(epoch from clock_timestamp() - claimed_at)::float8 else 0 end
        as ran_seconds
from jobd.job
where id = any ($1::uuid[])
order by created_at, id;

-- name: cli_error_groups
-- How many records were refused for which reason, exactly: those of one file, or of all together. Where these are
-- several, a row's number says nothing.
select
    field,
    code,
    sum(count)::bigint as count,
    count(distinct file) as files,
    case when count(distinct file) <= 1 then min(first_row) end as first_row,
    min(file) as first_file
from jobd.job_error_group
where job_id = $1 and ($2::text is null or file = $2)
group by field, code
order by 3 desc, field, code;

-- name: cli_error_groups_by_file
-- The same for each file by itself, the worst first.
select file, field, code, count, first_row, count(*) over () as total
from jobd.job_error_group
where job_id = $1
order by count desc, file, field, code
limit $2;

-- name: cli_files
-- The files of a job, those first that went wrong or are being read.
select file, status, processed_rows, error_count, error_message
from jobd.job_file
where job_id = $1
order by array_position(array['failed', 'running'], status) nulls last, (error_count = 0), position
limit $2;

-- name: cli_errors
-- A page of a job's row errors, of one file or of all.
select id, row_number, line_number, file, field, error_type, code, message, sqlstate, constraint_name, raw_data, created_at
from jobd.job_error
where job_id = $1 and id > $2 and ($4::text is null or file = $4)
order by id
limit $3;

-- name: cli_errors_json
-- The row errors in the form that applications get them in.
select jobd.job_errors_json($1)::text as errors;

-- name: cli_error_files
-- The files whose name is, or ends with, what was given, among those with refused records.
select distinct file
from jobd.job_error_group
where job_id = $1 and (file = $2 or right(file, length($2) + 1) = '/' || $2)
order by file
limit 3;

-- name: cli_reject_columns
-- The columns of the refused records, and whether their files have different ones.
select
    jobd.reject_columns($1, $2) as columns,
    (
        select count(distinct array(select k from json_object_keys(r.fields) as k where k not like '\_jobd\_%'))
        from jobd.job_reject as r
        where r.job_id = $1 and ($2::text is null or r.file = $2)
    ) > 1 as are_different;

-- name: cli_rejects
-- A page of the refused records as lines of CSV.
select file, row_number, line
from jobd.rejects_csv($1, $2, $3, $4, $5, $6, $7);

-- name: cli_timeline
-- What happened to a job and what its worker had to say, in the order of time.
select created_at, 'event' as kind, 'info' as level, event_type as event, old_status, new_status, actor, reason, data::text as data
from jobd.job_event
where job_id = $1
union all
select created_at, 'log', level, event, null, null, null, null, data::text
from jobd.job_log
where job_id = $1
order by created_at;

-- name: cli_changes
-- How many of a job's changes are undone, and how many are not.
select
    count(*) filter (where change.reverted_at is not null) as undone_rows,
    count(*) filter (where change.reverted_at is null) as left_rows
from jobd.job_change as change
where change.job_id = $1;

-- name: cli_not_reverted
-- Changes that could not be undone, the newest first.
select change.key::text as key, change.change, change.revert_problem
from jobd.job_change as change
where change.job_id = $1 and change.reverted_at is null
order by change.id desc
limit $2;

-- name: cli_queues
-- What waits and runs in each queue.
select stats.*, queue.resume_at
from jobd.queue_stats as stats
left join jobd.queue as queue on queue.name = stats.queue
order by stats.queue;

-- name: cli_workers
-- The daemons that run, and those that were lost of late.
select
    worker.id,
    worker.name,
    worker.host,
    worker.pid,
    worker.version,
    worker.queues,
    worker.slots,
    worker.memory_bytes,
    worker.is_draining,
    worker.heartbeat_at,
    worker.lost_at,
    worker.created_at,
    worker.lease_expires_at > clock_timestamp() and worker.lost_at is null as is_alive,
    (select count(*) from jobd.job where job.status = 'running' and job.worker_id = worker.id) as running
from jobd.worker as worker
order by worker.created_at, worker.id;
