-- BEFORE UPDATE, where a request is set or withdrawn while the status stays: does what the request asks for, or
-- leaves it to the worker. The control functions set the same flags, so both ways mean the same.
create or replace function jobd.job_control()
returns trigger
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_now constant timestamptz := greatest(clock_timestamp(), old.updated_at);
begin
    if new.retry_requested then
        new.retry_requested := false;
        if old.status in ('failed', 'cancelled') then
            if new.idempotency_key is not null then
                perform jobd.refuse_taken_key(new.submitted_role_oid, new.idempotency_key, new.id);
            end if;
            new.status := 'pending';
            new.run_at := v_now;
            new.retry_count := 0;
            new.lost_lease_count := 0;
            new.cancel_requested := false;
            new.pause_requested := false;
            new.cancellation_reason := null;
            new.completed_at := null;
            new.cancelled_at := null;
            new.error_code := null;
            new.error_message := null;
            new.waiting_reason := null;
            new.result := null;
            new.gate_checked_at := null;
            new.is_held := not (
                jobd.gate(new.id, new.after, new.submitted_role_oid, new.serial_key, new.created_at)
            ).is_open;
            if jobd.is_undone(new) then
                -- What it imported is gone, so it begins anew; triggers/job_begin_anew.sql does the rest.
                new.cursor := null;
                new.started_at := null;
                new.ran_seconds := 0;
                new.progress := 0;
                new.processed_rows := 0;
                new.success_count := 0;
                new.error_count := 0;
                new.items_added := 0;
                new.items_updated := 0;
                new.items_unchanged := 0;
                new.items_skipped := 0;
                new.items_removed := 0;
                new.errors_not_stored := 0;
                new.files_done := 0;
                new.current_file := null;
            end if;
        end if;
    elsif new.cancel_requested and not old.cancel_requested then
        if old.status in ('pending', 'paused') then
            new.status := 'cancelled';
            new.cancelled_at := v_now;
            new.completed_at := v_now;
            new.cancel_requested := false;
            new.pause_requested := false;
            new.waiting_reason := null;
            new.is_held := false;
        elsif old.status <> 'running' then
            new.cancel_requested := false;  -- nothing is left to cancel
            new.cancellation_reason := old.cancellation_reason;
        end if;
    elsif new.pause_requested and not old.pause_requested then
        if old.status = 'pending' then
            new.status := 'paused';
            new.paused_at := v_now;
            new.pause_requested := false;
            new.cancel_requested := false;
        elsif old.status <> 'running' then
            new.pause_requested := false;
            -- Set last of all. A row just as it was would mean to job_resume that the flag was cleared.
            new.updated_at := null;
        end if;
    end if;
    return new;
end
$$;

comment on function jobd.job_control() is 'Trigger: a request that needs no worker is honoured at once.';
