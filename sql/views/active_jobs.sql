-- The jobs that wait, run or are paused, and those that ended in the last five minutes, newest first. Columns are
-- those of jobd.job that applications may rely on; new ones are added at the end.
create or replace view jobd.active_jobs with (security_invoker) as
select
    j.id, j.job_type, j.queue, j.priority, j.serial_key, j.run_at, j.source, j.source_type, j.filename, j.file_hash,
    j.target, j.handler, j.options, j.metadata, j.created_by, j.tenant, j.related_dataset_id, j.idempotency_key,
    j.estimated_rows, j.max_retries, j.batch_id, j.after, j.cancel_requested, j.pause_requested, j.status, j.version,
    j.retry_count, j.interrupt_count, j.lost_lease_count, j.duplicate_of, j.parent_id, j.total_rows, j.processed_rows,
    j.success_count, j.error_count, j.items_added, j.items_updated, j.items_unchanged, j.items_skipped,
    j.items_removed, j.errors_not_stored, j.progress, j.files_total, j.files_done, j.current_file, j.cursor, j.result,
    j.error_code, j.error_message, j.waiting_reason, j.worker_id, j.lease_token, j.cancellation_reason,
    j.submitted_role, j.created_at, j.updated_at, j.started_at, j.completed_at, j.cancelled_at, j.paused_at,
    j.erased_at
from jobd.visible_job j
order by j.created_at desc, j.id desc;

comment on view jobd.active_jobs is
    'The caller''s jobs that are pending, running or paused, and those that ended in the last 5 minutes; newest first.';
