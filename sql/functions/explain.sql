-- Why a job is not running, or not advancing, in plain English, with what to do about each reason. Reads only; the
-- caller's rights decide which job, and what of other sessions, it may see.
create or replace function jobd.explain(job_id uuid)
returns text
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_job jobd.job%rowtype;
    v_reasons text[];
begin
    select * into v_job from jobd.job j where j.id = explain.job_id;
    if not found then
        raise no_data_found using
            message = format('job %s does not exist, or is another submitter''s', explain.job_id),
            hint = 'Jobs that ended long ago are pruned.';
    end if;
    v_reasons := case v_job.status
        when 'pending' then jobd.explain_pending(v_job)
        when 'running' then jobd.explain_running(v_job)
        else array[jobd.explain_stopped(v_job)]
    end;
    return array_to_string(v_reasons, E'\n');
end
$$;

comment on function jobd.explain(uuid) is 'Why a job is not running or not advancing, and what to do.';
