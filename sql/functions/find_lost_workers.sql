-- Workers that are dead, as far as this worker can tell, and why.
--
-- lease_expired: its lease is over, and this worker has itself been beating without a gap for longer than that
-- lease. Whoever was cut off from the server together with the other, and merely came back first, waits.
-- listener_gone: it missed a beat, and the backend of its listener is not there any more, on a server that has been
-- the same since its last beat and up for longer than a lease (after a restart, a crash or a failover every backend
-- is gone). A process id that is in use again hides it; then its lease decides.
create or replace function jobd.find_lost_workers(p_worker_id uuid)
returns table (worker_id uuid, heartbeat_at timestamptz, reason text)
language sql
volatile
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
    select w.id, w.heartbeat_at, r.reason
    from jobd.worker w
    cross join (
        select m.beating_since, clock_timestamp() as now, jobd.server_epoch() as server_epoch
        from jobd.worker m
        where m.id = p_worker_id
    ) me
    cross join lateral (
        select case
            when w.lost_at is not null then w.lost_reason
            when w.lease_expires_at < me.now and me.beating_since < me.now - make_interval(secs => w.lease_seconds)
                then 'lease_expired'
            when w.listener_pid is not null
                and w.heartbeat_at < me.now - make_interval(secs => w.heartbeat_seconds * 1.5)
                and w.server_epoch = me.server_epoch
                and me.server_epoch < me.now - make_interval(secs => w.lease_seconds)
                and not exists (
                    select from pg_stat_get_activity(w.listener_pid) a
                    where a.backend_start is null or a.backend_start = w.listener_started_at
                )
                then 'listener_gone'
        end as reason
    ) r
    where w.id <> p_worker_id and r.reason is not null
$$;

comment on function jobd.find_lost_workers(uuid) is 'Workers that are dead, as far as this worker can tell.';
