-- BEFORE INSERT, only where a column that jobd keeps is not its default (the trigger's WHEN decides): names it.
create or replace function jobd.job_refuse_insert()
returns trigger
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_row constant jsonb := to_jsonb(new);
    v_defaults constant jsonb := jsonb_build_object(
        'status', 'pending', 'version', 1, 'cancel_requested', false, 'created_at', now(), 'updated_at', now(),
        'progress', 0, 'is_held', false, 'retry_requested', false
    );
    v_settable constant text[] := array[
        'id', 'job_type', 'queue', 'priority', 'serial_key', 'run_at', 'source', 'source_type', 'filename',
        'file_hash', 'target', 'handler', 'options', 'metadata', 'created_by', 'tenant', 'related_dataset_id',
        'idempotency_key', 'estimated_rows', 'max_retries', 'batch_id', 'after', 'pause_requested'
    ];
    v_column text;
begin
    if current_user = 'jobd_owner' then
        return new;
    end if;
    -- Counters are 0 or null, times and texts null: what is not listed above has one of these as its default.
    select k.key into v_column
    from jsonb_each(v_row) k
    where k.key <> all (v_settable)
        and case
            when v_defaults ? k.key then k.value <> v_defaults -> k.key
            else k.value not in ('null', '0')
        end
    limit 1;
    if v_column is null then
        return new;
    end if;
    raise exception using
        errcode = 'JB005',
        message = format('column "%s" of jobd.job is kept by jobd', v_column),
        hint = jobd.column_hint(v_column),
        schema = 'jobd', table = 'job', column = v_column;
end
$$;

comment on function jobd.job_refuse_insert() is 'Trigger: refuses an INSERT that sets a column of jobd''s.';
