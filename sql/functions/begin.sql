-- What a worker found out about its job: format, header, mapping, numbers. Null leaves as is. Fenced by the token:
-- JB001 when the lease is lost, JB002 when the job is to be cancelled.
create or replace function jobd.begin(
    p_job_id uuid,
    p_lease_token bigint,
    p_detected jsonb,
    p_estimated_rows bigint default null,
    p_total_rows bigint default null,
    p_file_hash text default null,
    p_files_total int default null,
    p_current_file text default null
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
begin
    update jobd.job j
    set detected = coalesce(p_detected, j.detected),
        estimated_rows = coalesce(p_estimated_rows, j.estimated_rows),
        total_rows = coalesce(p_total_rows, j.total_rows),
        file_hash = coalesce(p_file_hash, j.file_hash),
        files_total = coalesce(p_files_total, j.files_total),
        current_file = coalesce(p_current_file, j.current_file)
    where j.id = p_job_id and j.lease_token = p_lease_token
    returning j.status, j.cancel_requested into v_status, v_cancel;
    perform jobd.check_lease(p_job_id, p_lease_token, v_status, v_cancel);
end
$$;

comment on function jobd.begin(uuid, bigint, jsonb, bigint, bigint, text, int, text) is
    'Writes down what a worker found out about its job.';
