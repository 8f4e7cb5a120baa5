-- The caller's job, locked, for the control functions: with the caller's rights, so that row-level security decides
-- whose it is. P0002 where there is none, 40001 where it has changed since the caller read it.
create or replace function jobd.lock_job(p_job_id uuid, p_expected_version int)
returns jobd.job
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_job jobd.job;
begin
    select j.* into v_job from jobd.job j where j.id = p_job_id for no key update;
    if not found then
        raise no_data_found using
            message = format('job %s does not exist, or is another submitter''s', p_job_id),
            hint = 'Jobs that ended long ago are pruned.';
    end if;
    if p_expected_version <> v_job.version then
        raise serialization_failure using
            message = format('job %s has version %s, not %s', p_job_id, v_job.version, p_expected_version),
            detail = format('It is %s.', v_job.status),
            hint = 'Nothing was changed. Read the job again and decide anew.';
    end if;
    return v_job;
end
$$;

comment on function jobd.lock_job(uuid, int) is 'The caller''s job, locked; refuses a stale version.';
