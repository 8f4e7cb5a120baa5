-- BEFORE INSERT, only where something is null: object mappers send null for what was not set.
create or replace function jobd.job_fill_defaults()
returns trigger
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    new.id := coalesce(new.id, jobd.uuid7());
    new.job_type := coalesce(new.job_type, 'import');
    new.queue := coalesce(new.queue, 'default');
    new.priority := coalesce(new.priority, 'normal');
    new.run_at := coalesce(new.run_at, now());
    new.options := coalesce(new.options, '{}');
    new.metadata := coalesce(new.metadata, '{}');
    new.max_retries := coalesce(new.max_retries, 3);
    new.cancel_requested := coalesce(new.cancel_requested, false);
    new.pause_requested := coalesce(new.pause_requested, false);
    new.status := coalesce(new.status, 'pending');
    new.version := coalesce(new.version, 1);
    new.created_at := coalesce(new.created_at, now());
    new.updated_at := coalesce(new.updated_at, now());
    return new;
end
$$;

comment on function jobd.job_fill_defaults() is 'Trigger: null means the default.';
