-- Delete jobs that ended longer ago than that, oldest first, with everything written about them. Bounded: at most
-- 10,000 jobs a call, and no more of them than have a million stored errors and changes together, so that a call never
-- holds its locks for long; call until it returns 0. Safe from several daemons at once: rows that another call has
-- locked are passed over.
--
-- There are no foreign keys to rely on, so what belongs to a job goes first. Jobs that another one still waits for
-- stay: their end is what it waits to see.
create or replace function jobd.prune(older_than interval default '90 days', keep_failed boolean default true)
returns bigint  -- jobs deleted
language plpgsql
security definer  -- nobody else may delete jobs
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_ids uuid[];
begin
    if older_than is null or older_than < interval '0' then
        raise invalid_parameter_value using
            message = 'older_than must be an age, as in interval ''90 days''';
    end if;

    select array_agg(bounded.id) into v_ids
    from (
        select
            oldest.id,
            sum(oldest.records) over (order by oldest.completed_at, oldest.id) - oldest.records as records_before
        from (
            select
                j.id, j.completed_at,
                j.error_count + case
                    when j.options -> 'track_changes' = 'true' then j.items_added + j.items_updated else 0
                end as records
            from jobd.job j
            where j.completed_at is not null
              and j.completed_at < clock_timestamp() - older_than
              and not (keep_failed and j.status = 'failed')
              and not exists (
                  select from jobd.job waiting
                  where waiting.after @> array[j.id] and waiting.after is not null
                    and waiting.status in ('pending', 'paused')
              )
            order by j.completed_at, j.id
            limit 10000
            for update skip locked
        ) as oldest
    ) as bounded
    where bounded.records_before < 1000000;

    if v_ids is null then
        return 0;
    end if;

    delete from jobd.job_error e where e.job_id = any (v_ids);
    delete from jobd.job_error_group g where g.job_id = any (v_ids);
    delete from jobd.job_reject r where r.job_id = any (v_ids);
    delete from jobd.job_log l where l.job_id = any (v_ids);
    delete from jobd.job_file f where f.job_id = any (v_ids);
    delete from jobd.job_change c where c.job_id = any (v_ids);
    delete from jobd.job_event e where e.job_id = any (v_ids);
    -- Bytes that nobody reads any more. Anybody may name a blob as a source; only its owner's jobs take it along.
    delete from jobd.blob b using jobd.job j
    where j.id = any (v_ids)
      and b.id = substring(j.source from '^blob:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$')::uuid
      and b.submitted_role_oid = j.submitted_role_oid
      and not exists (
          select from jobd.job waiting
          where waiting.status in ('pending', 'running', 'paused') and waiting.source = j.source
      );
    delete from jobd.job j where j.id = any (v_ids);
    return cardinality(v_ids);
end
$$;

comment on function jobd.prune(interval, boolean) is
    'Deletes jobs that ended longer ago than older_than, oldest first, at most 10,000 a call; failed ones only if asked.';
