-- Setting erased_at removes what a job keeps of people: values, refused records, images of rows, metadata, the names
-- of files, and messages, which may quote any of them. Counters, codes, row numbers, the idempotency key and the
-- content's hash stay: what was imported can still be accounted for, and is still recognised.
create or replace function jobd.erase_traces()
returns trigger
language plpgsql
security definer  -- the caller could update its job, which is how this came to run; these tables it may only read
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_blob uuid;
    v_other uuid;
begin
    if new.status not in ('completed', 'failed', 'cancelled') then
        raise sqlstate 'JB004' using
            message = format('job %s is %s: only a job that has ended can be erased', new.id, new.status),
            hint = format('select jobd.cancel(%L); then erase it.', new.id);
    end if;

    v_blob := substring(new.source from '^blob:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$')::uuid;
    if v_blob is not null then
        select j.id into v_other from jobd.job j
        where j.status in ('pending', 'running', 'paused') and j.source = new.source
        limit 1;
        if found then
            raise sqlstate 'JB004' using
                message = format('job %s has not ended and reads the same %s', v_other, new.source),
                hint = format('Wait for it, or: select jobd.cancel(%L);', v_other);
        end if;
        delete from jobd.blob b where b.id = v_blob and b.submitted_role_oid = new.submitted_role_oid;
    end if;

    delete from jobd.job_reject r where r.job_id = new.id;
    delete from jobd.job_log l where l.job_id = new.id;
    update jobd.job_error e set file = null, raw_data = null, message = 'erased' where e.job_id = new.id;
    update jobd.job_change c set key = '{}', before = null, after = null, revert_problem = null
    where c.job_id = new.id;
    update jobd.job_file f set file = format('file %s', f.position), error_message = null, detected = null
    where f.job_id = new.id;
    update jobd.job_event e set reason = null, data = null
    where e.job_id = new.id and (e.reason is not null or e.data is not null);
    update jobd.import_ledger l set filename = null where l.job_id = new.id;

    -- Without their files several groups may become one.
    with gone as (
        delete from jobd.job_error_group g where g.job_id = new.id and g.file is not null
        returning g.field, g.code, g.count, g.submitted_role_oid
    )
    insert into jobd.job_error_group as kept (job_id, field, code, count, submitted_role_oid)
    select new.id, gone.field, gone.code, sum(gone.count), gone.submitted_role_oid
    from gone
    group by gone.field, gone.code, gone.submitted_role_oid
    on conflict on constraint job_error_group_of_job do update
    set count = kept.count + excluded.count, first_row = null;

    update jobd.job j
    set source = null, filename = null, current_file = null, cursor = null, detected = null, result = null,
        error_message = null, cancellation_reason = null, waiting_reason = null, metadata = '{}',
        target = case when j.job_type = 'export' then null else j.target end
    where j.id = new.id;

    insert into jobd.job_event (job_id, event_type, old_status, new_status, version, actor, submitted_role_oid)
    select j.id, 'erased', j.status, j.status, j.version, new.changed_by, j.submitted_role_oid
    from jobd.job j where j.id = new.id;
    return null;
end
$$;

comment on function jobd.erase_traces() is 'Trigger: removes what may be personal when erased_at is set.';

create or replace trigger job_erase
after update of erased_at on jobd.job
for each row
when (old.erased_at is null and new.erased_at is not null)
execute function jobd.erase_traces();
