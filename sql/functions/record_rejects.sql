-- Keeps the refused records of a batch, which come by file and row, up to the job's 100,000th, each up to 64 KiB.
-- p_fields: each by its columns, as a JSON object (see jobd.rejects_csv); may be shorter than the others. A record
-- that was kept before stays as it is; to ask for that with each row costs half as much again, so it is asked for
-- only where there is such a record.
create or replace function jobd.record_rejects(
    p_job_id uuid, p_submitted_role_oid oid, p_errors_before bigint,
    p_row bigint[], p_file text[], p_record bytea[], p_fields text[]
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_room constant bigint := greatest(0, 100000 - p_errors_before);
begin
    insert into jobd.job_reject (job_id, file, row_number, record, fields, submitted_role_oid)
    select p_job_id, coalesce(r.file, ''), r.row_number, substring(r.record for 65536), r.fields::json,
        p_submitted_role_oid
    from unnest(p_row, p_file, p_record, p_fields) as r (row_number, file, record, fields)
    limit v_room;
exception when unique_violation then
    insert into jobd.job_reject (job_id, file, row_number, record, fields, submitted_role_oid)
    select p_job_id, coalesce(r.file, ''), r.row_number, substring(r.record for 65536), r.fields::json,
        p_submitted_role_oid
    from unnest(p_row, p_file, p_record, p_fields) as r (row_number, file, record, fields)
    limit v_room
    on conflict do nothing;
end
$$;

comment on function jobd.record_rejects is 'Keeps the refused records of a batch.';
