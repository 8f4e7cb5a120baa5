-- BEFORE UPDATE OF pause_requested, where a paused job is updated with nothing but values that it has: the one way
-- to clear a flag that is clear already. A full row written back with a changed metadata is not meant so.
create or replace function jobd.job_resume()
returns trigger
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    new.status := 'pending';
    new.cancel_requested := false;
    return new;
end
$$;

comment on function jobd.job_resume() is 'Trigger: clearing pause_requested resumes a paused job.';
