-- Pauses a job: a waiting one at once, a running one after its open batch. It keeps its cursor and holds no lease.
create or replace function jobd.pause(job_id uuid, reason text default null, expected_version int default null)
returns boolean  -- false: it is paused or has ended already
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_job constant jobd.job := jobd.lock_job(pause.job_id, pause.expected_version);
begin
    if v_job.status not in ('pending', 'running') then
        return false;
    end if;
    if not v_job.pause_requested then
        perform set_config('jobd.reason', coalesce(pause.reason, ''), true);
        update jobd.job j set pause_requested = true where j.id = pause.job_id;
        perform set_config('jobd.reason', '', true);
    end if;
    return true;
end
$$;

comment on function jobd.pause(uuid, text, int) is
    'Pauses a job: a waiting one at once, a running one after its open batch.';
