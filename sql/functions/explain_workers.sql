-- jobd.explain: whether anybody is there to run a waiting job; and, when nothing else holds it, what comes before.
create or replace function jobd.explain_workers(p_job jobd.job, p_is_due boolean)
returns text[]
language plpgsql
stable
security definer  -- counts only: whether slots are free depends on other submitters' jobs as well
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_workers bigint;
    v_draining bigint;
    v_slots bigint;
    v_used bigint;
    v_ahead bigint;
begin
    -- The row comes from the caller: only one that is really there is answered for, or the numbers of made-up ones
    -- would tell when others' jobs are due.
    if not exists (
        select from jobd.job j
        where j.id = p_job.id
            and (j.submitted_role_oid, j.queue, j.priority, j.run_at, j.created_at)
                = (p_job.submitted_role_oid, p_job.queue, p_job.priority, p_job.run_at, p_job.created_at)
    ) then
        return '{}';
    end if;

    select count(*), count(*) filter (where w.is_draining), coalesce(sum(w.slots) filter (where not w.is_draining), 0)
    into v_workers, v_draining, v_slots
    from jobd.worker w
    where p_job.queue = any (w.queues) and w.lost_at is null and w.lease_expires_at > clock_timestamp();

    if v_workers = 0 then
        return array[format(
            'No live worker serves queue %L. Start a daemon that does: JOBD_QUEUES=%s jobd run%s',
            p_job.queue, p_job.queue,
            (
                select '. Live workers serve: ' || string_agg(distinct served.queue, ', ')
                from jobd.worker w cross join lateral unnest(w.queues) as served (queue)
                where w.lost_at is null and w.lease_expires_at > clock_timestamp()
            )
        )];
    end if;
    if v_draining = v_workers then
        return array[format('Every worker that serves queue %L is shutting down. Start another daemon.', p_job.queue)];
    end if;
    if not p_is_due then
        return '{}';
    end if;

    select count(*) into v_used
    from jobd.worker w
    join jobd.job j on j.worker_id = w.id and j.status = 'running'
    where p_job.queue = any (w.queues) and w.lost_at is null and w.lease_expires_at > clock_timestamp();

    select count(*) into v_ahead
    from (
        select from jobd.job j
        where j.queue = p_job.queue and j.status = 'pending' and not j.is_held
          and j.run_at <= clock_timestamp()
          and (array_position(array['high', 'normal', 'low'], j.priority), j.run_at, j.id)
            < (array_position(array['high', 'normal', 'low'], p_job.priority), p_job.run_at, p_job.id)
        limit 1000
    ) as ahead;

    return array[
        case
            when v_used >= v_slots then format(
                'All %s slots of the workers that serve queue %L are taken. It starts when one gets free', v_slots, p_job.queue)
            when p_job.is_held then 'What it waited for is over: it is due within seconds'
            else 'Nothing holds it: a worker takes it within seconds'
        end
        || case when v_ahead > 0 then format(', after %s%s jobs that come first', v_ahead,
            case when v_ahead >= 1000 then ' or more' else '' end) else '' end
        || case
            when v_used >= v_slots then format(
                '. To let it go earlier: select jobd.set_priority(%L, ''high''); or start another daemon.', p_job.id)
            else '. If it is still waiting in a minute, look into the log of the daemon, or run: jobd doctor'
        end
    ];
end
$$;

comment on function jobd.explain_workers(jobd.job, boolean) is 'Internal: jobd.explain, who could run a pending job.';
