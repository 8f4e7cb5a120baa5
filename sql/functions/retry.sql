-- Makes a failed or cancelled job pending again: it continues from its cursor, and its counters and errors stay. One
-- whose rows jobd.revert took back begins anew.
create or replace function jobd.retry(job_id uuid, expected_version int default null)
returns boolean  -- false: it has neither failed nor been cancelled
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_job constant jobd.job := jobd.lock_job(retry.job_id, retry.expected_version);
begin
    if v_job.status not in ('failed', 'cancelled') then
        return false;
    end if;
    update jobd.job j set retry_requested = true where j.id = retry.job_id;
    return true;
end
$$;

comment on function jobd.retry(uuid, int) is 'Makes a failed or cancelled job pending again, from its cursor; after jobd.revert anew.';
