-- Remove from a job that has ended whatever may be personal, and keep what it counted. The caller's rights decide
-- which job that may be; what the caller may not write itself is removed by a trigger (triggers/job_erase.sql).
-- Locks the job's row until the transaction ends.
create or replace function jobd.erase(job_id uuid)
returns boolean  -- false: it was erased before
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_job constant jobd.job := jobd.lock_job(erase.job_id, null);
begin
    if v_job.erased_at is not null then
        return false;
    end if;
    update jobd.job j set erased_at = greatest(clock_timestamp(), j.created_at) where j.id = erase.job_id;
    return true;
end
$$;

comment on function jobd.erase(uuid) is
    'Removes what may be personal from a job that has ended (values, records, metadata, file names); keeps the counters.';
