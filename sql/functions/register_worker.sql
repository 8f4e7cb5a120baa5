-- A daemon has started. Its lease begins; workers that were lost more than a day ago are forgotten.
create or replace function jobd.register_worker(
    p_worker_id uuid,
    p_name text,
    p_host text,
    p_pid int,
    p_version text,
    p_queues text[],
    p_slots int,
    p_lease_seconds float8,
    p_heartbeat_seconds float8 default null,  -- how often it means to beat; default a fifth of the lease
    p_schema_version int default null  -- the newest version of the schema that it knows; null: the release before
)
returns timestamptz
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_now constant timestamptz := clock_timestamp();
begin
    delete from jobd.worker w
    where w.lost_at < v_now - interval '1 day'
        and not exists (select from jobd.job j where j.status = 'running' and j.worker_id = w.id);

    -- The same id again: the answer to the first call was lost on its way.
    insert into jobd.worker as w (
        id, name, host, pid, version, queues, slots, login_name, lease_seconds, heartbeat_seconds, lease_expires_at,
        heartbeat_at, beating_since, server_epoch, schema_version
    )
    values (
        p_worker_id, p_name, p_host, p_pid, p_version, p_queues, p_slots, session_user, p_lease_seconds,
        coalesce(p_heartbeat_seconds, p_lease_seconds / 5), v_now + make_interval(secs => p_lease_seconds),
        v_now, v_now, jobd.server_epoch(), p_schema_version
    )
    on conflict (id) do update set
        lease_expires_at = excluded.lease_expires_at,
        heartbeat_at = excluded.heartbeat_at,
        beating_since = excluded.beating_since,
        server_epoch = excluded.server_epoch
    where w.lost_at is null;
    if not found then
        raise exception using
            errcode = 'JB003',
            message = format('worker %s was lost; its jobs were taken from it', p_worker_id),
            hint = 'Register under a new id.';
    end if;
    return v_now;
end
$$;

comment on function jobd.register_worker(uuid, text, text, int, text, text[], int, float8, float8, int) is
    'Registers a daemon that has started.';
