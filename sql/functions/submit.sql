-- Inserts a job, or finds the one that holds the idempotency key; either way its id. With the caller's rights, as a
-- plain INSERT. Null means the default.
create or replace function jobd.submit(
    source text default null,
    target text default null,
    options jsonb default '{}',
    job_type text default 'import',
    queue text default 'default',
    priority text default 'normal',
    serial_key text default null,
    run_at timestamptz default now(),
    source_type text default null,
    filename text default null,
    file_hash text default null,
    handler text default null,
    metadata jsonb default '{}',
    created_by text default null,
    tenant text default null,
    related_dataset_id uuid default null,
    idempotency_key text default null,
    estimated_rows bigint default null,
    max_retries int default 3,
    batch_id uuid default null,
    after uuid[] default null,
    pause_requested boolean default false,
    id uuid default null
)
returns uuid
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_variable
declare
    v_id uuid;
begin
    for v_try in 1 .. 10 loop
        insert into jobd.job (
            id, source, target, options, job_type, queue, priority, serial_key, run_at, source_type, filename,
            file_hash, handler, metadata, created_by, tenant, related_dataset_id, idempotency_key, estimated_rows,
            max_retries, batch_id, after, pause_requested
        )
        values (
            id, source, target, options, job_type, queue, priority, serial_key, run_at, source_type, filename,
            file_hash, handler, metadata, created_by, tenant, related_dataset_id, idempotency_key, estimated_rows,
            max_retries, batch_id, after, pause_requested
        )
        on conflict do nothing
        returning job.id into v_id;
        if found then
            return v_id;
        end if;

        if idempotency_key is not null then
            select j.id into v_id
            from jobd.job j
            where j.idempotency_key = submit.idempotency_key
                and j.submitted_role_oid = (jobd.submitting_role(current_user)).role_oid
                and j.idempotency_key is not null
                and j.status not in ('failed', 'cancelled');
            if found then
                return v_id;
            end if;
        end if;
        -- Without a key only the id can be taken: by a job of the caller's, or by one that it may not see.
        if idempotency_key is null or exists (select from jobd.job j where j.id = submit.id) then
            raise unique_violation using
                message = format('job %s exists already', submit.id),
                hint = 'Leave the id out, or name one that is new.',
                schema = 'jobd', table = 'job', column = 'id', constraint = 'job_pkey';
        end if;
        -- The job that held the key failed or was cancelled in this moment: the next try inserts.
        if current_setting('transaction_isolation') <> 'read committed' then
            exit;
        end if;
    end loop;
    raise serialization_failure using
        message = format('another transaction holds the idempotency key "%s"', idempotency_key),
        hint = 'Try again in a new transaction.';
end
$$;

comment on function jobd.submit is 'Inserts a job, or finds the one that holds the idempotency key; gives its id.';
