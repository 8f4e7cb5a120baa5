-- Keeps the refused records of a batch, up to the job's 100,000th, each up to 64 KiB. p_fields: each by its columns,
-- as a JSON object (see jobd.rejects_csv); may be shorter than the others.
create or replace function jobd.record_rejects(
    p_job_id uuid, p_submitted_role_oid oid, p_errors_before bigint,
    p_row bigint[], p_file text[], p_record bytea[], p_fields text[]
)
returns void
language sql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
    insert into jobd.job_reject (job_id, file, row_number, record, fields, submitted_role_oid)
    select p_job_id, coalesce(r.file, ''), r.row_number, substring(r.record for 65536), r.fields::json,
        p_submitted_role_oid
    from unnest(p_row, p_file, p_record, p_fields) as r (row_number, file, record, fields)
    where p_errors_before + cardinality(p_row) <= 100000
        or (coalesce(r.file, ''), r.row_number) in (
            select distinct coalesce(u.file, ''), u.row_number
            from unnest(p_row, p_file) as u (row_number, file)
            order by 1, 2
            limit greatest(0, 100000 - p_errors_before)
        )
    on conflict do nothing;
$$;

comment on function jobd.record_rejects is 'Keeps the refused records of a batch.';
