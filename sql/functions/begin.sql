-- What a worker found out about its job: format, header, mapping, numbers, and its files, whose list is written once
-- and never again. Null leaves as is. Fenced by the token: JB001 when the lease is lost, JB002 when the job is to be
-- cancelled.
create or replace function jobd.begin(
    p_job_id uuid,
    p_lease_token bigint,
    p_detected jsonb,
    p_estimated_rows bigint default null,
    p_total_rows bigint default null,
    p_file_hash text default null,
    p_files_total int default null,
    p_current_file text default null,
    p_file text[] default null,
    p_file_size bigint[] default null,
    p_file_modified_at timestamptz[] default null,
    p_file_hashes text[] default null  -- of the files in the order of their positions
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
set lock_timeout = '3s'  -- an application may hold the row in an open transaction
as $$
declare
    v_status text;
    v_cancel boolean;
    v_owner oid;
begin
    -- Before the job's row, as in commit_batch: hashes may become known while a batch is being committed.
    if p_file_hashes is not null then
        update jobd.job_file f
        set file_hash = u.file_hash
        from unnest(p_file_hashes) with ordinality as u (file_hash, position)
        where f.job_id = p_job_id and f.position = u.position and f.file_hash is distinct from u.file_hash;
    end if;

    update jobd.job j
    set detected = coalesce(p_detected, j.detected),
        estimated_rows = coalesce(p_estimated_rows, j.estimated_rows),
        total_rows = coalesce(p_total_rows, j.total_rows),
        file_hash = coalesce(p_file_hash, j.file_hash),
        files_total = coalesce(p_files_total, j.files_total),
        current_file = coalesce(p_current_file, j.current_file)
    where j.id = p_job_id and j.lease_token = p_lease_token
    returning j.status, j.cancel_requested, j.submitted_role_oid into v_status, v_cancel, v_owner;
    perform jobd.check_lease(p_job_id, p_lease_token, v_status, v_cancel);

    if p_file is not null and not exists (select from jobd.job_file f where f.job_id = p_job_id) then
        insert into jobd.job_file (job_id, position, file, size_bytes, modified_at, file_hash, submitted_role_oid)
        select p_job_id, u.position, u.file, u.size_bytes, u.modified_at, u.file_hash, v_owner
        from unnest(p_file, p_file_size, p_file_modified_at, p_file_hashes)
            with ordinality as u (file, size_bytes, modified_at, file_hash, position)
        where u.file is not null;
    end if;
end
$$;

comment on function jobd.begin is
    'Writes down what a worker found out about its job.';
