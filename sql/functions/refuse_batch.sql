-- Why the fenced update of a batch found no row: the lease, or the cursor.
create or replace function jobd.refuse_batch(p_job_id uuid, p_lease_token bigint, p_cursor jsonb)
returns void
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_job record;
begin
    select j.lease_token, j.status, j.cursor into v_job from jobd.job j where j.id = p_job_id;
    perform jobd.check_lease(
        p_job_id, p_lease_token, case when v_job.lease_token = p_lease_token then v_job.status end, false
    );
    raise exception using
        errcode = 'JB008',
        message = format('the cursor of job %s does not advance', p_job_id),
        detail = format('committed: row %s; this batch: row %s', v_job.cursor ->> 'row', p_cursor ->> 'row'),
        hint = 'This batch, or a later one, is committed already. Continue from the cursor of the row.';
end
$$;

comment on function jobd.refuse_batch(uuid, bigint, jsonb) is 'Raises JB001 or JB008 for a batch that found no row.';
