-- Reads and control calls of jobd.client. JSON comes as text, so that a driver's own codecs make no difference.

-- name: client_submit
-- Insert a job, or find the one that holds the idempotency key.
select jobd.submit(
    source => $1::text,
    target => $2::text,
    options => $3::text::jsonb,
    job_type => $4::text,
    queue => $5::text,
    priority => $6::text,
    serial_key => $7::text,
    run_at => $8::timestamptz,
    source_type => $9::text,
    filename => $10::text,
    file_hash => $11::text,
    handler => $12::text,
    metadata => $13::text::jsonb,
    created_by => $14::text,
    tenant => $15::text,
    related_dataset_id => $16::uuid,
    idempotency_key => $17::text,
    estimated_rows => $18::bigint,
    max_retries => $19::int,
    batch_id => $20::uuid,
    after => $21::uuid[],
    pause_requested => $22::boolean
) as id;

-- name: client_upload
-- Keep bytes in the database, to be imported from there.
insert into jobd.blob (data, filename, created_by) values ($1::bytea, $2::text, $3::text) returning id;

-- name: client_get
-- One job; no row when it does not exist or belongs to another submitter.
select
    id, job_type, queue, priority, status, version, serial_key, run_at, source, source_type, filename, file_hash,
    target, handler, options::text as options, metadata::text as metadata, created_by, tenant, related_dataset_id,
    idempotency_key, estimated_rows, max_retries, batch_id, after, cancel_requested, pause_requested, retry_count,
    interrupt_count, lost_lease_count, duplicate_of, parent_id, total_rows, processed_rows, success_count, error_count,
    items_added, items_updated, items_unchanged, items_skipped, items_removed, errors_not_stored, progress, files_total,
    files_done, current_file, cursor::text as cursor, detected::text as detected, result::text as result, error_code,
    error_message, waiting_reason, worker_id, lease_token, cancellation_reason, submitted_role, submitted_role_oid,
    created_at, updated_at, started_at, completed_at, cancelled_at, paused_at
from jobd.job
where id = $1;

-- name: client_list
-- A page of jobs, newest first. One indexed probe per status keeps it fast however many jobs have ended.
select
    job.id, job_type, queue, priority, status, version, serial_key, run_at, source, source_type, filename, file_hash,
    target, handler, options::text as options, metadata::text as metadata, created_by, tenant, related_dataset_id,
    idempotency_key, estimated_rows, max_retries, batch_id, after, cancel_requested, pause_requested, retry_count,
    interrupt_count, lost_lease_count, duplicate_of, parent_id, total_rows, processed_rows, success_count, error_count,
    items_added, items_updated, items_unchanged, items_skipped, items_removed, errors_not_stored, progress, files_total,
    files_done, current_file, cursor::text as cursor, detected::text as detected, result::text as result, error_code,
    error_message, waiting_reason, worker_id, lease_token, cancellation_reason, submitted_role, submitted_role_oid,
    created_at, updated_at, started_at, completed_at, cancelled_at, paused_at
from unnest($1::text[]) as wanted (status_wanted)
cross join lateral (
    select *
    from jobd.job as candidate
    where candidate.status = wanted.status_wanted
      and ($2::timestamptz is null or (candidate.created_at, candidate.id) < ($2, $3::uuid))
      and ($4::text is null or candidate.queue = $4)
      and ($5::text is null or candidate.job_type = $5)
      and ($6::uuid is null or candidate.batch_id = $6)
    order by candidate.created_at desc, candidate.id desc
    limit $7
) as job
order by job.created_at desc, job.id desc
limit $7;

-- name: client_cancel
-- Ask for a job to be cancelled.
select jobd.cancel($1::uuid, $2::text, $3::int) as answer;

-- name: client_pause
-- Ask for a job to be paused.
select jobd.pause($1::uuid, $2::text, $3::int) as answer;

-- name: client_resume
-- Let a paused job go on.
select jobd.resume($1::uuid, $2::int) as answer;

-- name: client_retry
-- Let a failed or cancelled job go on from its cursor.
select jobd.retry($1::uuid, $2::int) as answer;

-- name: client_set_priority
-- Change a job's place among those that wait.
select jobd.set_priority($1::uuid, $2::text, $3::int) as answer;

-- name: client_release
-- Take a job from a worker that lives but does not obey.
select jobd.release($1::uuid) as answer;

-- name: client_erase
-- Remove what may be personal of a job.
select jobd.erase($1::uuid) as answer;

-- name: client_revert
-- Undo an import that tracked changes.
select jobd.revert($1::uuid) as answer;

-- name: client_explain
-- Why a job does not run or does not advance.
select jobd.explain($1::uuid) as answer;

-- name: client_cancel_batch
-- Cancel all jobs of a batch.
select jobd.cancel_batch($1::uuid, $2::text) as answer;

-- name: client_pause_batch
-- Pause all jobs of a batch.
select jobd.pause_batch($1::uuid, $2::text) as answer;

-- name: client_resume_batch
-- Resume all jobs of a batch.
select jobd.resume_batch($1::uuid) as answer;

-- name: client_pause_queue
-- Start no new jobs of a queue.
select jobd.pause_queue($1::text, $2::timestamptz)::text as answer;

-- name: client_resume_queue
-- Start jobs of a queue again.
select jobd.resume_queue($1::text)::text as answer;

-- name: client_prune
-- Delete at most 10,000 jobs that ended long ago.
select jobd.prune($1::interval, $2::boolean) as answer;

-- name: client_errors
-- A page of a job's row errors, in the order in which they were found.
select row_number, line_number, field, error_type, code, message, raw_data
from jobd.job_error
where job_id = $1::uuid
order by id
limit $2::bigint
offset $3::bigint;
