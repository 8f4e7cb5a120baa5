-- Resumes a paused job, from the exact row, on any daemon; or withdraws a pause that is not honoured yet.
create or replace function jobd.resume(job_id uuid, expected_version int default null)
returns boolean  -- false: it is not paused and nobody asked for that
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_job constant jobd.job := jobd.lock_job(resume.job_id, resume.expected_version);
begin
    if v_job.status <> 'paused' and not v_job.pause_requested then
        return false;
    end if;
    update jobd.job j set pause_requested = false where j.id = resume.job_id;
    return true;
end
$$;

comment on function jobd.resume(uuid, int) is 'Resumes a paused job, or withdraws a pause that is not honoured yet.';
