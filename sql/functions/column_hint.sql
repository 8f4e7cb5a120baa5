-- What to do instead of setting a column that jobd keeps.
create or replace function jobd.column_hint(p_column text)
returns text
language sql
immutable
parallel safe
set search_path = pg_catalog, jobd, pg_temp
as $$
    select case
        when p_column in ('status', 'cancelled_at', 'paused_at', 'completed_at', 'retry_count') then
            'A new job is pending; jobd.cancel(id), jobd.pause(id), jobd.resume(id) and jobd.retry(id) '
            || 'change its status.'
        when p_column in ('cancel_requested', 'cancellation_reason') then
            'Do not insert a job that is not wanted; jobd.cancel(id, reason) cancels one.'
        when p_column in ('submitted_role', 'submitted_role_oid') then
            'It is the role that inserts: leave it out; created_by and tenant are yours.'
        when p_column in ('created_at', 'started_at') then
            'Leave it out; run_at says when a job may start at the earliest.'
        when p_column in ('error_code', 'error_message', 'result', 'waiting_reason') then
            'Leave it out; metadata is yours.'
        when p_column in ('worker_id', 'lease_token') then 'Only a worker that claims the job writes it.'
        else 'Leave it out, or say DEFAULT.'
    end
$$;

comment on function jobd.column_hint(text) is 'What to do instead of setting a column that jobd keeps.';
