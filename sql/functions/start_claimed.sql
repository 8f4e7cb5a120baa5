-- Puts locked, waiting jobs under leases of a worker. Each lease raises the job's token.
create or replace function jobd.start_claimed(p_ids uuid[], p_worker_id uuid, p_worker_name text, p_now timestamptz)
returns setof jobd.job
language sql
security definer
rows 100
set search_path = pg_catalog, jobd, pg_temp
as $$
    with claimed as (
        update jobd.job j
        set status = 'running',
            worker_id = p_worker_id,
            lease_token = j.lease_token + 1,
            claimed_at = p_now,
            started_at = coalesce(j.started_at, p_now),
            waiting_reason = null,
            changed_by = p_worker_name,
            change_reason = null
        where j.id = any (p_ids)
        returning j.*
    )
    select * from claimed c
    order by array_position(array['high', 'normal', 'low'], c.priority), c.run_at, c.id
$$;

comment on function jobd.start_claimed(uuid[], uuid, text, timestamptz) is 'Puts locked jobs under leases.';
