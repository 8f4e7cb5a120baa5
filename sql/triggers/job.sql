-- The triggers of jobd.job. Those BEFORE a row fire in the order of their names. What is asked in a WHEN costs next
-- to nothing, so an ordinary INSERT or progress update calls few of the functions.

create or replace trigger job_10_fill_defaults
before insert on jobd.job
for each row
when (
    new.id is null or new.job_type is null or new.queue is null or new.priority is null or new.run_at is null
    or new.options is null or new.metadata is null or new.max_retries is null or new.cancel_requested is null
    or new.pause_requested is null or new.status is null or new.version is null or new.created_at is null
    or new.updated_at is null
)
execute function jobd.job_fill_defaults();

create or replace trigger job_20_refuse_insert
before insert on jobd.job
for each row
when (
    new.status <> 'pending' or new.version <> 1 or new.cancel_requested
    or new.created_at <> now() or new.updated_at <> now()
    or new.retry_count <> 0 or new.interrupt_count <> 0 or new.lost_lease_count <> 0
    or new.processed_rows <> 0 or new.success_count <> 0 or new.error_count <> 0
    or new.items_added <> 0 or new.items_updated <> 0 or new.items_unchanged <> 0 or new.items_skipped <> 0
    or new.items_removed <> 0 or new.errors_not_stored <> 0 or new.progress <> 0 or new.files_done <> 0
    or new.lease_token <> 0 or new.ran_seconds <> 0 or new.is_held or new.retry_requested
    or num_nonnulls(
        new.duplicate_of, new.parent_id, new.total_rows, new.files_total, new.current_file, new.cursor, new.result,
        new.error_code, new.error_message, new.waiting_reason, new.worker_id, new.cancellation_reason,
        new.submitted_role, new.submitted_role_oid, new.started_at, new.completed_at, new.cancelled_at, new.paused_at,
        new.claimed_at, new.detected, new.gate_checked_at, new.changed_by, new.change_reason, new.erased_at
    ) > 0
)
execute function jobd.job_refuse_insert();

create or replace trigger job_30_validate
before insert on jobd.job
for each row
when (
    new.job_type not in ('import', 'export', 'validation', 'processing')
    or new.source_type not in ('csv', 'json', 'jsonl', 'text', 'xlsx')
    or new.priority not in ('low', 'normal', 'high')
    or new.queue !~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$'
    or new.file_hash !~ '^[0-9a-f]{64}$'
    or new.max_retries < 0
    or new.estimated_rows < 0
    or new.options <> '{}'
    or jsonb_typeof(new.metadata) <> 'object'
)
execute function jobd.job_validate();

create or replace trigger job_40_prepare
before insert on jobd.job
for each row
execute function jobd.job_prepare();

-- Everything but the requests, priority, metadata and cancellation_reason, which job_control takes care of.
create or replace trigger job_20_refuse_update
before update on jobd.job
for each row
when (
    new.id <> old.id
    or (current_user <> 'jobd_owner' and (
        new.status <> old.status
        or new.version <> old.version
        or (
            new.job_type, new.queue, new.serial_key, new.run_at, new.source, new.source_type, new.filename,
            new.file_hash, new.target, new.handler, new.options, new.created_by, new.tenant,
            new.related_dataset_id, new.idempotency_key, new.estimated_rows, new.max_retries, new.batch_id, new.after
        ) is distinct from (
            old.job_type, old.queue, old.serial_key, old.run_at, old.source, old.source_type, old.filename,
            old.file_hash, old.target, old.handler, old.options, old.created_by, old.tenant,
            old.related_dataset_id, old.idempotency_key, old.estimated_rows, old.max_retries, old.batch_id, old.after
        )
        or (
            new.retry_count, new.interrupt_count, new.lost_lease_count, new.duplicate_of, new.parent_id,
            new.total_rows, new.processed_rows, new.success_count, new.error_count, new.items_added,
            new.items_updated, new.items_unchanged, new.items_skipped, new.items_removed, new.errors_not_stored,
            new.progress, new.files_total, new.files_done, new.current_file, new.cursor, new.result, new.error_code,
            new.error_message, new.waiting_reason, new.worker_id, new.lease_token, new.submitted_role
        ) is distinct from (
            old.retry_count, old.interrupt_count, old.lost_lease_count, old.duplicate_of, old.parent_id,
            old.total_rows, old.processed_rows, old.success_count, old.error_count, old.items_added,
            old.items_updated, old.items_unchanged, old.items_skipped, old.items_removed, old.errors_not_stored,
            old.progress, old.files_total, old.files_done, old.current_file, old.cursor, old.result, old.error_code,
            old.error_message, old.waiting_reason, old.worker_id, old.lease_token, old.submitted_role
        )
        or (
            new.created_at, new.updated_at, new.started_at, new.completed_at, new.cancelled_at, new.paused_at,
            new.submitted_role_oid, new.claimed_at, new.ran_seconds, new.detected, new.is_held, new.gate_checked_at,
            new.changed_by, new.change_reason
        ) is distinct from (
            old.created_at, old.updated_at, old.started_at, old.completed_at, old.cancelled_at, old.paused_at,
            old.submitted_role_oid, old.claimed_at, old.ran_seconds, old.detected, old.is_held, old.gate_checked_at,
            old.changed_by, old.change_reason
        )
        or (old.erased_at is not null and new.erased_at is distinct from old.erased_at)  -- jobd.erase sets it, once
        or (
            new.cancellation_reason is distinct from old.cancellation_reason
            and not (new.cancel_requested and not old.cancel_requested)
        )
    ))
)
execute function jobd.job_refuse_update();

create or replace trigger job_30_validate_update
before update of priority, metadata on jobd.job
for each row
when (new.priority not in ('low', 'normal', 'high') or jsonb_typeof(new.metadata) <> 'object')
execute function jobd.job_validate();

create or replace trigger job_50_control
before update on jobd.job
for each row
when (
    new.status = old.status
    and (
        new.cancel_requested <> old.cancel_requested
        or new.pause_requested <> old.pause_requested
        or new.retry_requested
    )
)
execute function jobd.job_control();

create or replace trigger job_50_resume
before update of pause_requested on jobd.job
for each row
when (old.status = 'paused' and not new.pause_requested and old.* is not distinct from new.*)
execute function jobd.job_resume();

create or replace trigger job_90_touch
before update on jobd.job
for each row
execute function jobd.job_touch();

create or replace trigger job_inserted
after insert on jobd.job
referencing new table as new_jobs
for each statement
execute function jobd.job_inserted();

create or replace trigger job_updated
after update on jobd.job
referencing old table as old_jobs new table as new_jobs
for each statement
execute function jobd.job_updated();
