-- Says which job holds an idempotency key already. The unique index decides in the end; this only finds the better
-- words, because an index violation cannot name the other row.
--
-- INSERT … ON CONFLICT DO NOTHING must go on to the index, and a trigger is not told which kind of INSERT fired it.
-- So the statement's own text is looked at, and where that cannot be had, the index speaks.
create or replace function jobd.refuse_taken_key(p_submitted_role_oid oid, p_key text, p_id uuid)
returns void
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_holder uuid;
    v_context text;
    v_statement text;
begin
    select j.id into v_holder
    from jobd.job j
    where j.submitted_role_oid = p_submitted_role_oid
        and j.idempotency_key = p_key
        and j.idempotency_key is not null
        and j.status not in ('failed', 'cancelled')
        and j.id <> p_id;
    if not found then
        return;
    end if;
    get diagnostics v_context = pg_context;
    -- The first three lines are this function and the trigger; what stands below them fired the trigger.
    v_statement := array_to_string((string_to_array(v_context, E'\n'))[4:], E'\n');
    if v_statement = '' then
        v_statement := current_query();
    end if;
    if v_statement ~* '\mon\s+conflict\M|\mSQL function\M|^\s*execute\M' then
        return;
    end if;
    raise unique_violation using
        message = format('job %s has the idempotency key "%s" already', v_holder, p_key),
        detail = format('Existing job: %s', v_holder),
        hint = 'jobd.submit() gives that job''s id instead of an error.',
        schema = 'jobd', table = 'job', column = 'idempotency_key', constraint = 'job_idempotency_key';
end
$$;

comment on function jobd.refuse_taken_key(oid, text, uuid) is 'Raises 23505 naming the job that holds the key.';
