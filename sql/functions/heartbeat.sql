-- Renews a worker's lease, which is the lease of all its jobs, and says which jobs it holds and what is asked of
-- them. A running job that is not among them is no longer this worker's. JB003: the worker itself was taken for
-- dead, and everything it holds is, or is about to be, somebody else's.
create or replace function jobd.heartbeat(
    p_worker_id uuid,
    p_lease_seconds float8,
    p_listener_pid int default null,
    p_listener_started_at timestamptz default null,
    p_memory_bytes bigint default null,
    p_is_draining boolean default false
)
returns table (job_id uuid, lease_token bigint, cancel_requested boolean, pause_requested boolean)
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_now constant timestamptz := clock_timestamp();
begin
    update jobd.worker w
    set lease_expires_at = v_now + make_interval(secs => p_lease_seconds),
        lease_seconds = p_lease_seconds,
        -- A gap of half a lease: it may have been cut off, and so may others, so it starts to observe anew.
        beating_since = case
            when v_now - w.heartbeat_at > make_interval(secs => w.lease_seconds / 2) then v_now else w.beating_since
        end,
        heartbeat_at = v_now,
        server_epoch = jobd.server_epoch(),
        listener_pid = p_listener_pid,
        listener_started_at = p_listener_started_at,
        memory_bytes = coalesce(p_memory_bytes, w.memory_bytes),
        is_draining = p_is_draining
    where w.id = p_worker_id and w.lost_at is null;
    if not found then
        perform jobd.refuse_worker(p_worker_id);
    end if;
    return query
    select j.id, j.lease_token, j.cancel_requested, j.pause_requested
    from jobd.job j
    where j.status = 'running' and j.worker_id = p_worker_id;
end
$$;

comment on function jobd.heartbeat(uuid, float8, int, timestamptz, bigint, boolean) is
    'Renews a worker''s lease; gives its jobs and what is asked of them.';
