-- BEFORE UPDATE, where the id changes, or anybody but jobd's own functions changes more than requests, priority and
-- metadata (the trigger's WHEN decides): names the column and says what to do.
create or replace function jobd.job_refuse_update()
returns trigger
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_column text;
begin
    if old.status <> new.status and not exists (
        select from jobd.transition t where t.old_status = old.status and t.new_status = new.status
    ) then
        raise exception using
            errcode = 'JB004',
            message = format('job %s cannot become %s: it is %s', old.id, new.status, old.status),
            hint = 'The transitions there are: select * from jobd.transition.',
            schema = 'jobd', table = 'job', column = 'status';
    end if;
    select o.key into v_column
    from jsonb_each(to_jsonb(old)) o
    join jsonb_each(to_jsonb(new)) n on n.key = o.key
    where n.value is distinct from o.value
        and o.key not in (
            'cancel_requested', 'pause_requested', 'retry_requested', 'priority', 'metadata', 'cancellation_reason'
        )
    order by o.key <> 'id', o.key <> 'status', o.key
    limit 1;
    -- A reason without a request to cancel is all that can be left.
    v_column := coalesce(v_column, 'cancellation_reason');
    raise exception using
        errcode = 'JB005',
        message = case
            when v_column in ('id', 'job_type', 'queue', 'serial_key', 'run_at', 'source', 'source_type', 'filename',
                'file_hash', 'target', 'handler', 'options', 'created_by', 'tenant', 'related_dataset_id',
                'idempotency_key', 'max_retries', 'batch_id', 'after')
                then format('column "%s" of jobd.job is set at INSERT and stays', v_column)
            else format('column "%s" of jobd.job is kept by jobd', v_column)
        end,
        hint = case v_column
            when 'status' then
                'Use jobd.cancel(id), jobd.pause(id), jobd.resume(id) or jobd.retry(id), '
                || 'or set cancel_requested or pause_requested.'
            when 'cancellation_reason' then 'It goes with a request: jobd.cancel(id, reason).'
            else
                'An UPDATE may set cancel_requested, pause_requested, priority and metadata; '
                || 'else cancel the job and submit another.'
        end,
        schema = 'jobd', table = 'job', column = v_column;
end
$$;

comment on function jobd.job_refuse_update() is 'Trigger: refuses an UPDATE of a column of jobd''s.';
