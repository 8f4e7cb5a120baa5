-- jobd.begin for many jobs of one small file each, whose files were read whole: detected, numbers, hash, and the file.
create or replace function jobd.begin_bundle(
    p_job_ids uuid[],
    p_lease_tokens bigint[],
    p_detected jsonb[],
    p_estimated_rows bigint[],
    p_total_rows bigint[],
    p_file_hashes text[],
    p_files text[],
    p_file_sizes bigint[],
    p_file_modified_at timestamptz[]
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
set lock_timeout = '3s'  -- an application may hold a row in an open transaction
as $$
declare
    v_begun bigint;
    v_cancelled text;
begin
    perform from jobd.job j where j.id = any (p_job_ids) order by j.id for no key update;

    with begun as (
        update jobd.job j
        set detected = e.detected,
            estimated_rows = e.estimated_rows,
            total_rows = e.total_rows,
            file_hash = e.file_hash,
            files_total = 1,
            current_file = e.file
        from unnest(
            p_job_ids, p_lease_tokens, p_detected, p_estimated_rows, p_total_rows, p_file_hashes, p_files
        ) as e (job_id, lease_token, detected, estimated_rows, total_rows, file_hash, file)
        where j.id = any (p_job_ids) and j.id = e.job_id and j.lease_token = e.lease_token
        returning j.id, j.status, j.cancel_requested
    )
    select count(*) filter (where b.status = 'running'), min(b.id::text) filter (where b.cancel_requested)
    into v_begun, v_cancelled
    from begun b;
    perform jobd.check_bundle(p_job_ids, v_begun, v_cancelled);

    insert into jobd.job_file (job_id, position, file, size_bytes, modified_at, file_hash, submitted_role_oid)
    select e.job_id, 1, e.file, e.size_bytes, e.modified_at, e.file_hash, j.submitted_role_oid
    from unnest(p_job_ids, p_files, p_file_sizes, p_file_modified_at, p_file_hashes)
        as e (job_id, file, size_bytes, modified_at, file_hash)
    join jobd.job j on j.id = any (p_job_ids) and j.id = e.job_id
    on conflict do nothing;
end
$$;

comment on function jobd.begin_bundle is 'Writes down what a worker found out about small jobs of a kind.';
