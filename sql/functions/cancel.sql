-- Cancels a job: pending and paused ones at once; a running one's worker rolls its open batch back and ends it. The
-- trigger job_control does it, so that setting the flag means the same.
create or replace function jobd.cancel(job_id uuid, reason text default null, expected_version int default null)
returns boolean  -- false: it has ended already
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_job constant jobd.job := jobd.lock_job(cancel.job_id, cancel.expected_version);
begin
    if v_job.status in ('completed', 'failed', 'cancelled') then
        return false;
    end if;
    if not v_job.cancel_requested then
        update jobd.job j
        set cancel_requested = true, cancellation_reason = cancel.reason
        where j.id = cancel.job_id;
    end if;
    return true;
end
$$;

comment on function jobd.cancel(uuid, text, int) is
    'Cancels a job: waiting ones at once, a running one as soon as its worker has rolled back the open batch.';
