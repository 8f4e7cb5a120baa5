-- Decides about held jobs: whose gate is open may be claimed, whose dependency failed fails, the others stay held.
-- Locks in id order; who is locked by others is left for the next time.
create or replace function jobd.settle_held(p_ids uuid[])
returns int  -- how many are held no longer
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
set enable_nestloop = on  -- one of its callers has it off
as $$
declare
    v_ids uuid[];
    v_settled int;
begin
    v_ids := array(
        select j.id from jobd.job j
        where j.id = any (p_ids) and j.is_held
        order by j.id
        for no key update skip locked
    );
    with settled as (
        update jobd.job j
        set is_held = not g.is_open and not (g.failed_id is not null and j.status = 'pending'),
            gate_checked_at = clock_timestamp(),
            status = case when g.failed_id is not null and j.status = 'pending' then 'failed' else j.status end,
            completed_at = case when g.failed_id is not null and j.status = 'pending' then clock_timestamp() end,
            error_code = case
                when g.failed_id is not null and j.status = 'pending' then 'dependency_failed' else j.error_code
            end,
            error_message = case
                when g.failed_id is not null and j.status = 'pending'
                    then format('job %s, which this job waits for, is %s', g.failed_id, g.failed_status)
                else j.error_message
            end,
            changed_by = 'jobd',
            change_reason = case
                when g.failed_id is not null then format('job %s is %s', g.failed_id, g.failed_status)
            end
        from (
            select h.id, r.*
            from jobd.job h
            cross join lateral jobd.gate(h.id, h.after, h.submitted_role_oid, h.serial_key, h.created_at) r
            where h.id = any (v_ids)
        ) g
        where j.id = g.id and j.id = any (v_ids)
        returning j.is_held
    )
    select count(*) filter (where not s.is_held) into v_settled from settled s;
    return v_settled;
end
$$;

comment on function jobd.settle_held(uuid[]) is 'Lets held jobs go, or fails them, where what they wait for has ended.';
