-- AFTER INSERT, once per statement: events, queues at their first use, and one notification per queue.
-- Without nested loops: joins with transition tables are planned blindly, and a nested loop of 50,000 rows with
-- themselves takes minutes. jit: the cost of a disabled loop would start it.
create or replace function jobd.job_inserted()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
set enable_nestloop = off
set jit = off
as $$
declare
    v_count bigint;
    v_events jobd.job_event[];
    v_dependent uuid[];
begin
    if not exists (select from new_jobs) then
        return null;
    end if;

    insert into jobd.queue (name)
    select distinct n.queue from new_jobs n
    where not exists (select from jobd.queue q where q.name = n.queue)
    on conflict do nothing;

    with written as (
        insert into jobd.job_event (job_id, event_type, new_status, version, actor, submitted_role_oid)
        select n.id, 'submitted', n.status, n.version, n.changed_by, n.submitted_role_oid
        from new_jobs n
        returning job_event
    )
    select (select count(*) from written), array(select w.job_event from written w limit 20)
    into v_count, v_events;

    if coalesce(current_setting('jobd.notify', true), '') <> 'off' then
        perform pg_notify('jobd_job', q.queue)
        from (select distinct n.queue from new_jobs n where n.status = 'pending' and not n.is_held) q;
        if v_count > 20 then
            perform pg_notify('jobd_event', jsonb_build_object('count', v_count)::text);
        else
            perform pg_notify('jobd_event', jobd.event_json(e, n.job_type, n.queue))
            from unnest(v_events) e
            join new_jobs n on n.id = e.job_id;
        end if;
    end if;

    -- What they wait for may have failed already.
    v_dependent := array(
        select n.id from new_jobs n
        where n.after is not null
            and n.is_held
            and (jobd.gate(n.id, n.after, n.submitted_role_oid, n.serial_key, n.created_at)).failed_id is not null
    );
    if cardinality(v_dependent) > 0 then
        perform jobd.settle_held(v_dependent);
    end if;
    return null;
end
$$;

comment on function jobd.job_inserted() is 'Trigger: events and notifications of new jobs.';
