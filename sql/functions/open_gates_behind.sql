-- Looks for jobs that waited for one of these, which have just ended, and lets go or fails those that may.
-- At most 1,000 for each way of waiting; open_gates finds the rest. Locks with SKIP LOCKED, as it runs inside the
-- transaction that ended the others.
create or replace function jobd.open_gates_behind(p_ids uuid[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
set enable_nestloop = on  -- the trigger that calls this has it off
as $$
declare
    v_held uuid[];
begin
    v_held := array(
        select next.id
        from (
            select distinct j.submitted_role_oid, j.serial_key
            from jobd.job j
            where j.id = any (p_ids) and j.serial_key is not null
            limit 1000
        ) ended
        cross join lateral (
            select j.id, j.is_held
            from jobd.job j
            where j.submitted_role_oid = ended.submitted_role_oid
                and j.serial_key = ended.serial_key
                and j.serial_key is not null
                and j.status in ('pending', 'running', 'paused', 'failed')
                and (j.status <> 'failed' or j.options @> '{"hold_on_failure": true}')
            order by j.created_at, j.id
            limit 1
        ) next
        where next.is_held
    ) || array(
        select j.id
        from jobd.job j
        where j.after && p_ids
            and j.after is not null
            and j.status in ('pending', 'paused')
            and j.is_held
        limit 1000
    );
    if cardinality(v_held) > 0 then
        perform jobd.settle_held(v_held);
    end if;
end
$$;

comment on function jobd.open_gates_behind(uuid[]) is 'Lets go the jobs that waited for these.';
