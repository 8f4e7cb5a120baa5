-- Expand.
-- One index per question that is asked often. tests/sql names the query that each of them serves.
-- Old daemons: there are none.

-- claim, next_due_at, the oldest due job: one range per queue and priority.
create index job_claim on jobd.job (queue, priority, run_at, id) where status = 'pending' and not is_held;

-- heartbeat, rescue: what each worker runs. Few rows, whatever the size of the table.
create index job_running on jobd.job (worker_id) where status = 'running';

-- queue_stats: paused jobs by queue.
create index job_paused on jobd.job (queue) where status = 'paused';

-- open_gates: held jobs, those longest unchecked first.
create index job_held on jobd.job (gate_checked_at nulls first, id) where is_held;

-- Who comes next under a serial_key, and that only one of them runs.
create index job_serial on jobd.job (submitted_role_oid, serial_key, created_at, id)
    where serial_key is not null and status in ('pending', 'running', 'paused', 'failed');
create unique index job_serial_running on jobd.job (submitted_role_oid, serial_key)
    where serial_key is not null and status = 'running';

-- Who waits for a job that has just ended.
create index job_after on jobd.job using gin (after) where after is not null and status in ('pending', 'paused');

create unique index job_idempotency_key on jobd.job (submitted_role_oid, idempotency_key)
    where idempotency_key is not null and status not in ('failed', 'cancelled');

-- cancel_batch, pause_batch, resume_batch, watching a batch.
create index job_batch on jobd.job (batch_id) where batch_id is not null;

-- Lists of people and applications.
create index job_status on jobd.job (status, created_at);
create index job_created on jobd.job (created_at);
create index job_created_by on jobd.job (created_by, created_at) where created_by is not null;
create index job_type on jobd.job (job_type, created_at);
create index job_file_hash on jobd.job (file_hash, target) where file_hash is not null;

-- prune, and the jobs that ended a moment ago.
create index job_completed on jobd.job (completed_at) where completed_at is not null;
