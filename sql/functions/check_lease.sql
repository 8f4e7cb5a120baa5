-- After a fenced update: whether it found the job under its lease. The status is looked at here and not in the
-- update's WHERE, which would be planned through the index of running jobs, with statistics from when none ran.
create or replace function jobd.check_lease(p_job_id uuid, p_lease_token bigint, p_status text, p_cancel boolean)
returns void
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    if p_status is distinct from 'running' then
        raise exception using
            errcode = 'JB001',
            message = format('lease %s of job %s is lost', p_lease_token, p_job_id),
            hint = 'Another worker has the job, or it has ended. Nothing was written.';
    end if;
    if p_cancel then
        raise exception using
            errcode = 'JB002',
            message = format('job %s is to be cancelled', p_job_id),
            hint = 'Roll back, and finish it as cancelled.';
    end if;
end
$$;

comment on function jobd.check_lease(uuid, bigint, text, boolean) is 'Raises JB001 or JB002 after a fenced update.';
