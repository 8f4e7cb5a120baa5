-- The next jobs to claim, locked. Locks at most p_limit rows per queue of one priority; a lower priority is looked
-- at only when the higher ones did not fill the claim.
create or replace function jobd.claimable(
    p_queues text[], p_limit int, p_job_types text[], p_with_serial boolean
)
returns uuid[]
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_priority text;
    v_ids uuid[] := '{}';
begin
    foreach v_priority in array array['high', 'normal', 'low'] loop
        exit when cardinality(v_ids) >= p_limit;
        v_ids := v_ids || array(
            select c.id
            from unnest(p_queues) as q (name)
            cross join lateral (
                select j.id, j.run_at
                from jobd.job j
                where j.queue = q.name
                    and j.priority = v_priority
                    and j.status = 'pending'
                    and not j.is_held
                    and j.run_at <= clock_timestamp()
                    and (p_job_types is null or j.job_type = any (p_job_types))
                    and (
                        j.serial_key is null and j.after is null
                        or (p_with_serial or j.serial_key is null)
                        and (jobd.gate(j.id, j.after, j.submitted_role_oid, j.serial_key, j.created_at)).is_open
                    )
                order by j.run_at, j.id
                limit p_limit - cardinality(v_ids)
                for no key update skip locked
            ) c
            order by c.run_at, c.id
            limit p_limit - cardinality(v_ids)
        );
    end loop;
    return v_ids;
end
$$;

comment on function jobd.claimable(text[], int, text[], boolean) is 'The next jobs to claim, locked.';
