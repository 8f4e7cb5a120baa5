-- A job that is retried without a cursor although it had one begins anew (see job_control): what it said of its
-- records is said again. Its list of files stays, as the source is the one that it began with. Bounded by what is kept
-- of a job; the job's row is locked first, as by its batches.
create or replace function jobd.forget_records()
returns trigger
language plpgsql
security definer  -- the caller could update its job, which is how this came to run; these tables it may only read
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    delete from jobd.job_error e where e.job_id = new.id;
    delete from jobd.job_reject r where r.job_id = new.id;
    delete from jobd.job_error_group g where g.job_id = new.id;
    update jobd.job_file f
    set status = 'pending', processed_rows = 0, success_count = 0, error_count = 0, items_added = 0,
        items_updated = 0, items_unchanged = 0, items_skipped = 0, error_code = null, error_message = null
    where f.job_id = new.id and f.status <> 'pending';
    return null;
end
$$;

comment on function jobd.forget_records() is 'Trigger: a job that begins anew has neither errors nor files that are done.';

create or replace trigger job_begin_anew
after update on jobd.job
for each row
when (
    old.status in ('failed', 'cancelled') and new.status = 'pending' and old.cursor is not null and new.cursor is null
)
execute function jobd.forget_records();
