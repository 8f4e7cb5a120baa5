-- Takes the jobs of dead workers and gives them back, or honours what was asked of them. The dead are marked first,
-- so that one that wakes up is told so by its next heartbeat; every job's token rises, so that whatever it still
-- sends finds no row. Any daemon, bounded, side by side: worker rows and jobs that are locked are skipped.
-- A file that kills its workers is stopped: the fifth lost lease in a row without progress fails the job.
create or replace function jobd.rescue(p_worker_id uuid, p_limit int)
returns table (
    job_id uuid, former_worker_id uuid, status text, submitted_role_oid oid, reason text, queue text
)
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_now constant timestamptz := clock_timestamp();
    v_name text;
    v_lost uuid[];
    v_ids uuid[];
begin
    select w.name into v_name
    from jobd.worker w
    where w.id = p_worker_id and w.lost_at is null and w.lease_expires_at > v_now;
    if not found then
        perform jobd.refuse_worker(p_worker_id);
    end if;

    -- A beat in this very moment changes heartbeat_at, and the row no longer matches once it is locked.
    with lost as (
        select w.id, l.reason
        from jobd.find_lost_workers(p_worker_id) l
        join jobd.worker w on w.id = l.worker_id and w.heartbeat_at = l.heartbeat_at
        where w.lost_at is null
        order by w.id
        for update of w skip locked
    )
    update jobd.worker w
    set lost_at = v_now, lost_reason = lost.reason
    from lost
    where w.id = lost.id;

    v_ids := array(
        select j.id
        from jobd.job j
        left join jobd.worker w on w.id = j.worker_id
        where j.status = 'running' and (w.id is null or w.lost_at is not null)
        order by j.id
        limit p_limit
        for no key update of j skip locked
    );
    if cardinality(v_ids) = 0 then
        return;
    end if;
    return query
    with before as (
        select j.id, j.worker_id, coalesce(w.lost_reason, 'worker_unknown') as reason,
            case
                when j.cancel_requested then 'cancelled'
                when j.lost_lease_count >= 4 then 'failed'
                when j.pause_requested then 'paused'
                else 'pending'
            end as status
        from jobd.job j
        left join jobd.worker w on w.id = j.worker_id
        where j.id = any (v_ids)
    ),
    taken as (
        update jobd.job j
        set status = b.status,
            lease_token = j.lease_token + 1,
            worker_id = null,
            claimed_at = null,
            ran_seconds = j.ran_seconds + greatest(0, extract(epoch from v_now - j.claimed_at)::float8),
            cancel_requested = false,
            pause_requested = false,
            interrupt_count = j.interrupt_count + case when b.status in ('pending', 'paused') then 1 else 0 end,
            lost_lease_count = j.lost_lease_count + 1,
            completed_at = case when b.status in ('failed', 'cancelled') then v_now end,
            cancelled_at = case when b.status = 'cancelled' then v_now end,
            paused_at = case when b.status = 'paused' then v_now else j.paused_at end,
            error_code = case when b.status = 'failed' then 'worker_lost' else j.error_code end,
            error_message = case
                when b.status = 'failed' then
                    format('its worker was lost %s times in a row without progress', j.lost_lease_count + 1)
                    || format(', after row %s of %s', j.processed_rows, coalesce(j.current_file, j.filename, j.source, 'its source'))
                else j.error_message
            end,
            changed_by = v_name,
            change_reason = case when b.status = 'cancelled' then coalesce(j.cancellation_reason, b.reason) else b.reason end
        from before b
        where j.id = b.id and j.id = any (v_ids)
        returning j.id, b.worker_id, j.status, j.submitted_role_oid, b.reason, j.queue
    )
    select * from taken t;
end
$$;

comment on function jobd.rescue(uuid, int) is 'Takes the jobs of dead workers and gives them back.';
