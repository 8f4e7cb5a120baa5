-- Sweep: held jobs whose gate has opened without anybody noticing (two transactions that did not see each other, a
-- locked row, a long chain). Any daemon, bounded, those longest unchecked first.
create or replace function jobd.open_gates(p_limit int)
returns int
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_ids uuid[];
begin
    v_ids := array(
        select j.id
        from jobd.job j
        where j.is_held
            and (j.gate_checked_at is null or j.gate_checked_at < clock_timestamp() - interval '5 seconds')
        order by j.gate_checked_at nulls first, j.id
        limit p_limit
        for no key update skip locked
    );
    if cardinality(v_ids) = 0 then
        return 0;
    end if;
    return jobd.settle_held(v_ids);
end
$$;

comment on function jobd.open_gates(int) is 'Lets go held jobs whose gate is open; gives how many.';
