-- Changes a job's priority; waiting jobs are claimed in the new order at once.
create or replace function jobd.set_priority(job_id uuid, priority text, expected_version int default null)
returns boolean  -- false: it has ended, or has this priority already
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_job constant jobd.job := jobd.lock_job(set_priority.job_id, set_priority.expected_version);
begin
    if v_job.status in ('completed', 'failed', 'cancelled') or v_job.priority = set_priority.priority then
        return false;
    end if;
    update jobd.job j set priority = set_priority.priority where j.id = set_priority.job_id;
    return true;
end
$$;

comment on function jobd.set_priority(uuid, text, int) is 'Changes a job''s priority.';
