-- Keeps which rows a batch added or updated, and how, in the batch's own transaction: what is written here goes with
-- the batch when jobd.commit_batch refuses it. Called on the session of jobd.commit_batch, with the same checks.
-- JB009 beyond a million changes of a job: a job that stopped to track could be undone in part only, and would not
-- say so. What was committed by then is tracked, and can be undone.
create or replace function jobd.record_changes(
    p_job_id uuid,
    p_lease_token bigint,
    p_key jsonb[],
    p_change text[],
    p_before jsonb[],
    p_after jsonb[]
)
returns bigint  -- changes written
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_job record;
    -- Of this transaction; the job's counters have those of earlier ones. Each row added or updated is one change.
    v_recorded bigint := coalesce(nullif(current_setting('jobd.recorded', true), '')::bigint, 0) + cardinality(p_key);
begin
    select
        j.submitted_role_oid, j.lease_token, j.status, j.cancel_requested,
        j.items_added + j.items_updated as changes
    into v_job
    from jobd.job j where j.id = p_job_id;
    perform jobd.check_lease(
        p_job_id, p_lease_token, case when v_job.lease_token = p_lease_token then v_job.status end, v_job.cancel_requested
    );
    perform jobd.check_session(v_job.submitted_role_oid);
    if v_job.changes + v_recorded > 1000000 then
        raise exception using
            errcode = 'JB009',
            message = format('job %s has changed more than 1,000,000 rows, which is the most that can be tracked', p_job_id),
            hint = 'Submit the rest without track_changes, or in several files. What was committed can be undone with jobd.revert.';
    end if;

    perform set_config('jobd.recorded', v_recorded::text, true);
    insert into jobd.job_change (job_id, key, change, before, after, submitted_role_oid)
    select p_job_id, c.key, c.change, c.before, c.after, v_job.submitted_role_oid
    from unnest(p_key, p_change, p_before, p_after) with ordinality as c (key, change, before, after, place)
    order by c.place;
    return cardinality(p_key);
end
$$;

comment on function jobd.record_changes is 'Keeps which rows a batch changed, and how; fenced by the lease.';
