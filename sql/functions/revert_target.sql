-- The table whose rows a job changed, by the name and the oid that it began with. Raises where the job tracked nothing,
-- has not ended, was erased, or where the table is another one by now.
create or replace function jobd.revert_target(p_job jobd.job)
returns oid
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_name constant text := p_job.detected #>> '{target,target}';
    v_oid constant oid := (p_job.detected #>> '{target,oid}')::oid;
    v_relation oid;
begin
    if p_job.job_type <> 'import' or p_job.options -> 'track_changes' is distinct from 'true' then
        raise invalid_parameter_value using
            message = format('job %s did not track changes, so that nothing is known to be undone', p_job.id),
            hint = 'Submit imports with the option track_changes to be able to undo them.';
    end if;
    if p_job.status not in ('completed', 'failed', 'cancelled') then
        raise object_in_use using
            message = format('job %s is %s: only a job that has ended can be undone', p_job.id, p_job.status),
            hint = format('select jobd.cancel(%L); then undo it.', p_job.id);
    end if;
    if p_job.erased_at is not null then
        raise invalid_parameter_value using
            message = format('job %s was erased: what it changed is not known any more', p_job.id);
    end if;
    if v_oid is null then
        return null;  -- it ended before its first row, and changed none
    end if;
    select c.oid into v_relation
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = v_oid and n.nspname || '.' || c.relname = v_name;
    if not found then
        raise undefined_object using
            message = format('the table %s that job %s imported into was dropped, renamed or replaced', v_name, p_job.id),
            hint = 'Nothing was undone.';
    end if;
    return v_relation;
end
$$;

comment on function jobd.revert_target is 'Part of jobd.revert: the table whose rows a job changed.';
