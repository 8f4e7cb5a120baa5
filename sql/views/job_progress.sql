-- How far the jobs of jobd.active_jobs are. Rate and remaining time go by the time a job really ran: waiting,
-- pauses and retries in between do not count.
create or replace view jobd.job_progress with (security_invoker) as
select
    j.id,
    j.job_type,
    j.queue,
    j.status,
    j.progress,
    case when ran.seconds > 0 then j.processed_rows / ran.seconds end as rows_per_second,
    -- By the share of bytes that is done, which is known when the number of rows is not.
    case when j.status = 'running' and j.progress > 0 then ran.seconds * (100 - j.progress) / j.progress end
        as remaining_seconds,
    j.total_rows,
    j.estimated_rows,
    j.processed_rows,
    j.success_count,
    j.error_count,
    j.items_added,
    j.items_updated,
    j.items_unchanged,
    j.items_skipped,
    j.items_removed,
    j.errors_not_stored,
    j.files_total,
    j.files_done,
    j.current_file,
    j.worker_id,
    w.memory_bytes as worker_memory_bytes,
    j.updated_at
from jobd.visible_job j
left join jobd.visible_worker w on w.id = j.worker_id
cross join lateral (
    select j.ran_seconds
        + case when j.status = 'running' then extract(epoch from clock_timestamp() - j.claimed_at)::float8 else 0 end
) as ran (seconds);

comment on view jobd.job_progress is 'Progress, rate and remaining time of the caller''s active jobs.';
