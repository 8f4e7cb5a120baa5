-- For administrators: takes a running job from a worker that lives but does not obey. The token rises, so that
-- whatever the worker still sends finds no row; its next heartbeat tells it that the job is gone. What was asked of
-- the job is honoured.
create or replace function jobd.release(job_id uuid)
returns boolean  -- false: it is not running
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_now constant timestamptz := clock_timestamp();
    v_job constant jobd.job := jobd.lock_job(release.job_id, null);
begin
    if v_job.status <> 'running' then
        return false;
    end if;
    update jobd.job j
    set status = n.status,
        lease_token = j.lease_token + 1,
        worker_id = null,
        claimed_at = null,
        ran_seconds = j.ran_seconds + greatest(0, extract(epoch from v_now - j.claimed_at)::float8),
        cancel_requested = false,
        pause_requested = false,
        interrupt_count = j.interrupt_count + case when n.status = 'cancelled' then 0 else 1 end,
        completed_at = case when n.status = 'cancelled' then v_now end,
        cancelled_at = case when n.status = 'cancelled' then v_now end,
        paused_at = case when n.status = 'paused' then v_now else j.paused_at end,
        changed_by = session_user,
        change_reason = 'released'
    from (select jobd.ending('interrupted', v_job.cancel_requested, v_job.pause_requested, 0, 0) as status) n
    where j.id = release.job_id;
    return true;
end
$$;

comment on function jobd.release(uuid) is 'Takes a running job from a worker that does not obey.';
