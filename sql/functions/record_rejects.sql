-- Keeps the refused records of a batch, up to the job's 100,000th, each up to 64 KiB.
create or replace function jobd.record_rejects(
    p_job_id uuid, p_submitted_role_oid oid, p_errors_before bigint,
    p_row bigint[], p_file text[], p_record bytea[]
)
returns void
language sql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
    insert into jobd.job_reject (job_id, file, row_number, record, submitted_role_oid)
    select p_job_id, r.file, r.row_number, substring(r.record for 65536), p_submitted_role_oid
    from (
        select coalesce(u.file, '') as file, u.row_number, u.record,
            dense_rank() over (order by u.file, u.row_number) as record_number
        from unnest(p_row, p_file, p_record) as u (row_number, file, record)
    ) r
    where p_errors_before + r.record_number <= 100000
    on conflict do nothing;
$$;

comment on function jobd.record_rejects is 'Keeps the refused records of a batch.';
