-- The last statement of a batch's transaction: errors, refused records, counters and cursor, under the lease.
-- Whatever is wrong raises, and the rows of the batch go with it: JB001 lease lost, JB002 to be cancelled, JB008 the
-- cursor would go back (a batch sent twice). One file in p_error_file or p_reject_file is that of all.
--
-- Called on the connection that is authenticated as the job's submitter, where other people's code may have run; so
-- it trusts the session for nothing but what session_user says. The job's row is locked last, for the moment
-- between here and COMMIT, so that control functions hardly ever wait. The update is HOT: nothing it writes is
-- indexed. No notification, as one would make commits queue up behind one another.
create or replace function jobd.commit_batch(
    p_job_id uuid,
    p_lease_token bigint,
    p_added bigint,
    p_updated bigint,
    p_unchanged bigint,
    p_skipped bigint,
    p_refused bigint,
    p_cursor jsonb,
    p_progress float8,
    p_total_rows bigint default null,
    p_current_file text default null,
    p_error_row bigint[] default '{}',
    p_error_line bigint[] default '{}',
    p_error_file text[] default '{}',
    p_error_field text[] default '{}',
    p_error_type text[] default '{}',
    p_error_code text[] default '{}',
    p_error_message text[] default '{}',
    p_error_sqlstate text[] default '{}',
    p_error_constraint text[] default '{}',
    p_error_raw text[] default '{}',
    p_reject_row bigint[] default '{}',
    p_reject_file text[] default '{}',
    p_reject_record bytea[] default '{}',
    p_files jsonb default null,  -- see jobd.record_files
    p_reject_fields text[] default '{}'
)
returns table (
    lease_token bigint, cancel_requested boolean, pause_requested boolean, error_count bigint, processed_rows bigint
)
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
set lock_timeout = '3s'  -- an application may hold the row in an open transaction: the batch is tried again
as $$
#variable_conflict use_column
declare
    v_success constant bigint := p_added + p_updated + p_unchanged + p_skipped;
    v_position constant bigint[] := jobd.cursor_position(p_cursor);
    v_error_file constant text[] := case when cardinality(p_error_file) = 1
        then array_fill(p_error_file[1], array[cardinality(p_error_row)]) else p_error_file end;
    v_reject_file constant text[] := case when cardinality(p_reject_file) = 1
        then array_fill(p_reject_file[1], array[cardinality(p_reject_row)]) else p_reject_file end;
    v_owner oid;
    v_errors bigint;
    v_files_ended bigint := 0;
    v_job record;
begin
    if pg_trigger_depth() > 0 then
        raise insufficient_privilege using
            message = 'jobd.commit_batch is called by a trigger',
            hint = 'What a job counts is the daemon''s to say; it calls this as the last statement of a batch.';
    end if;

    select j.submitted_role_oid, j.error_count, j.status, j.lease_token, j.cancel_requested into v_job
    from jobd.job j
    where j.id = p_job_id;
    v_owner := v_job.submitted_role_oid;
    v_errors := v_job.error_count;
    perform jobd.check_lease(
        p_job_id, p_lease_token, case when v_job.lease_token = p_lease_token then v_job.status end,
        v_job.cancel_requested
    );
    perform jobd.check_session(v_owner);

    if cardinality(p_error_row) > 0 then
        perform jobd.record_errors(
            p_job_id, v_owner, v_errors, p_error_row, p_error_line, v_error_file, p_error_field, p_error_type,
            p_error_code, p_error_message, p_error_sqlstate, p_error_constraint, p_error_raw
        );
    end if;
    if cardinality(p_reject_row) > 0 then
        perform jobd.record_rejects(
            p_job_id, v_owner, v_errors, p_reject_row, v_reject_file, p_reject_record, p_reject_fields
        );
    end if;

    if p_files is not null then
        v_files_ended := jobd.record_files(p_job_id, p_files);
    end if;

    update jobd.job j
    set items_added = j.items_added + p_added,
        items_updated = j.items_updated + p_updated,
        items_unchanged = j.items_unchanged + p_unchanged,
        items_skipped = j.items_skipped + p_skipped,
        success_count = j.success_count + v_success,
        error_count = j.error_count + p_refused,
        processed_rows = j.processed_rows + v_success + p_refused,
        errors_not_stored = greatest(0, j.error_count + p_refused - 100000),
        cursor = coalesce(p_cursor, j.cursor),
        -- 100 is for completed jobs; until then there is always something to do.
        progress = greatest(j.progress, least(p_progress, 99.99)),
        total_rows = coalesce(p_total_rows, j.total_rows),
        current_file = coalesce(p_current_file, j.current_file),
        files_done = j.files_done + v_files_ended,
        lost_lease_count = 0
    where j.id = p_job_id
        and j.lease_token = p_lease_token
        and (
            v_position is null
            or v_position > coalesce(jobd.cursor_position(j.cursor), '{0,-1}')
            or v_position = jobd.cursor_position(j.cursor) and v_success + p_refused = 0
        )
    returning j.lease_token, j.cancel_requested, j.pause_requested, j.error_count, j.processed_rows, j.status
    into v_job;
    if not found then
        perform jobd.refuse_batch(p_job_id, p_lease_token, p_cursor);
    end if;
    perform jobd.check_lease(p_job_id, p_lease_token, v_job.status, v_job.cancel_requested);
    return query select v_job.lease_token, v_job.cancel_requested, v_job.pause_requested, v_job.error_count,
        v_job.processed_rows;
end
$$;

comment on function jobd.commit_batch is
    'The last statement of a batch: errors, counters and cursor, fenced by the lease.';
