-- AFTER UPDATE, once per statement: refuses transitions that there are not, writes events, notifies, and lets jobs
-- go that waited for one that has ended.
--
-- It fires at every progress update too, so the first thing is to see that nothing but progress has changed: the
-- version rises with everything else. For nestloop and jit see job_inserted.
create or replace function jobd.job_updated()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
set enable_nestloop = off
set jit = off
as $$
declare
    v_illegal record;
    v_count bigint;
    v_events jobd.job_event[];
    v_ended uuid[];
begin
    perform from new_jobs n join old_jobs o on o.id = n.id
    where n.version <> o.version or n.status <> o.status or n.is_held <> o.is_held;
    if not found then
        return null;
    end if;

    select n.id, o.status as old_status, n.status as new_status into v_illegal
    from new_jobs n
    join old_jobs o on o.id = n.id
    where n.status <> o.status
        and not exists (
            select from jobd.transition t where t.old_status = o.status and t.new_status = n.status
        )
    limit 1;
    if found then
        raise exception using
            errcode = 'JB004',
            message = format(
                'job %s cannot become %s: it is %s', v_illegal.id, v_illegal.new_status, v_illegal.old_status
            ),
            hint = 'The transitions there are: select * from jobd.transition.',
            schema = 'jobd', table = 'job', column = 'status';
    end if;

    with written as (
        insert into jobd.job_event (
            job_id, event_type, old_status, new_status, version, actor, reason, data, submitted_role_oid
        )
        select
            c.id, c.event_type, c.old_status, c.new_status, c.version, c.changed_by, c.change_reason, c.data,
            c.submitted_role_oid
        from (
            select
                n.id, o.status as old_status, n.status as new_status, n.version, n.changed_by, n.change_reason,
                n.submitted_role_oid,
                case
                    when n.priority <> o.priority then
                        jsonb_build_object('old_priority', o.priority, 'new_priority', n.priority)
                    when n.status = 'running' and o.status = 'pending' then
                        jsonb_build_object('worker_id', n.worker_id, 'lease_token', n.lease_token)
                    when n.status <> o.status and n.error_code is not null then
                        jsonb_build_object('error_code', n.error_code, 'retry_count', n.retry_count)
                end as data,
                unnest(array[
                    case when n.status <> o.status then 'status_changed' end,
                    case when n.priority <> o.priority then 'priority_changed' end,
                    case when n.cancel_requested and not o.cancel_requested then 'cancel_requested' end,
                    case when n.pause_requested and not o.pause_requested then 'pause_requested' end,
                    case
                        when o.cancel_requested and not n.cancel_requested and n.status = o.status
                            then 'cancel_withdrawn'
                    end,
                    case
                        when o.pause_requested and not n.pause_requested and n.status = o.status
                            then 'pause_withdrawn'
                    end
                ]) as event_type
            from new_jobs n
            join old_jobs o on o.id = n.id
            where n.version <> o.version
        ) c
        where c.event_type is not null
        returning job_event
    )
    select (select count(*) from written), array(select w.job_event from written w limit 20)
    into v_count, v_events;

    if coalesce(current_setting('jobd.notify', true), '') <> 'off' then
        perform pg_notify('jobd_control', json_build_object('id', c.id, 'request', c.request)::text)
        from (
            select n.id,
                case
                    when n.cancel_requested and not o.cancel_requested then 'cancel'
                    when n.pause_requested and not o.pause_requested then 'pause'
                    else 'resume'
                end as request
            from new_jobs n
            join old_jobs o on o.id = n.id
            where n.status = 'running' and o.status = 'running'
                and (n.cancel_requested, n.pause_requested) <> (o.cancel_requested, o.pause_requested)
            limit 1000  -- the others are found by the next batch or heartbeat
        ) c;
        perform pg_notify('jobd_job', q.queue)
        from (
            select distinct n.queue
            from new_jobs n
            join old_jobs o on o.id = n.id
            where n.status = 'pending' and not n.is_held and (o.status <> 'pending' or o.is_held)
        ) q;
        if v_count > 20 then
            perform pg_notify('jobd_event', json_build_object('count', v_count)::text);
        else
            perform pg_notify('jobd_event', jobd.event_json(e, n.job_type, n.queue))
            from unnest(v_events) e
            join new_jobs n on n.id = e.job_id;
        end if;
    end if;

    v_ended := array(
        select n.id
        from new_jobs n
        join old_jobs o on o.id = n.id
        where n.status <> o.status and n.status in ('completed', 'failed', 'cancelled')
    );
    -- A job that fails because of another may let others fail in turn; a long chain is left to open_gates.
    if cardinality(v_ended) > 0 and pg_trigger_depth() < 8 then
        perform jobd.open_gates_behind(v_ended);
    end if;
    return null;
end
$$;

comment on function jobd.job_updated() is 'Trigger: transitions, events and notifications of changed jobs.';
