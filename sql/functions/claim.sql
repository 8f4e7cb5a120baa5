-- Takes waiting jobs under new leases: by priority, then run_at, then id, over all of these queues.
--
-- One walk through the index job_claim per queue and priority, each with its own LIMIT, so that neither the size of
-- the backlog nor jobs scheduled for later matter. What is locked by others is skipped, so any number of workers
-- claim side by side; the UPDATE goes by id alone, because joined with the walk it would be planned as a scan of the
-- whole table. Jobs that wait for others are not in that index (is_held is only a hint, so the gate is asked again).
create or replace function jobd.claim(
    p_worker_id uuid,
    p_queues text[],
    p_limit int,
    p_job_types text[] default null
)
returns setof jobd.job
language plpgsql
security definer
rows 100
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_now constant timestamptz := clock_timestamp();
    v_name text;
    v_queues text[];
    v_ids uuid[];
begin
    select w.name into v_name
    from jobd.worker w
    where w.id = p_worker_id and w.lost_at is null and w.lease_expires_at > v_now;
    if not found then
        perform jobd.refuse_worker(p_worker_id);
    end if;

    v_queues := array(
        select distinct q.name
        from unnest(p_queues) as q (name)
        where not exists (
            select from jobd.queue p
            where p.name = q.name and p.is_paused and (p.resume_at is null or p.resume_at > v_now)
        )
    );
    v_ids := jobd.claimable(v_queues, p_limit, p_job_types, true);
    begin
        return query select * from jobd.start_claimed(v_ids, p_worker_id, v_name, v_now);
    exception when unique_violation then
        -- Somebody retried a job while another of its serial_key was being claimed. Jobs without a key go first;
        -- the others are asked about again next time.
        v_ids := jobd.claimable(v_queues, p_limit, p_job_types, false);
        return query select * from jobd.start_claimed(v_ids, p_worker_id, v_name, v_now);
    end;
end
$$;

comment on function jobd.claim(uuid, text[], int, text[]) is
    'Takes waiting jobs for a worker, by priority, run_at and id.';
