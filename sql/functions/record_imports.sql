-- Writes down which content was imported, for jobs that completed at this very moment: imports without a refused
-- row. The ledger outlives the jobs.
create or replace function jobd.record_imports(p_job_ids uuid[], p_completed_at timestamptz)
returns void
language sql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
    insert into jobd.import_ledger (
        submitted_role, submitted_role_oid, target, settings, file_hash, filename, job_id, processed_rows, size_bytes
    )
    select
        j.submitted_role, j.submitted_role_oid, coalesce(j.detected #>> '{target,target}', j.target),
        jsonb_build_object(
            'key', coalesce(j.detected #> '{target,key}', j.options -> 'key'),
            'columns', coalesce(nullif(j.options -> 'columns', 'null'), '{}'),
            'constants', coalesce(nullif(j.options -> 'constants', 'null'), '{}')
        ),
        j.file_hash, j.filename, j.id, j.processed_rows,
        (
            select case when bool_and(f.size_bytes is not null) then sum(f.size_bytes) end
            from jobd.job_file f where f.job_id = j.id
        )
    from jobd.job j
    where j.id = any (p_job_ids)
        and j.status = 'completed'
        and j.completed_at = p_completed_at
        and j.job_type = 'import'
        and j.error_count = 0
        and j.processed_rows > 0
        and j.duplicate_of is null
        and j.file_hash is not null
        and j.target is not null
$$;

comment on function jobd.record_imports(uuid[], timestamptz) is 'Writes down which content was imported.';
