-- Whether rows that a job imported since it began were undone: a retry then begins anew. What was undone before that
-- is of an earlier beginning, since only a job that has ended is undone.
create or replace function jobd.is_undone(p_job jobd.job)
returns boolean
language sql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
    select p_job.erased_at is null and exists (
        select from jobd.job_change c where c.job_id = p_job.id and c.reverted_at > p_job.started_at
    )
$$;

comment on function jobd.is_undone(jobd.job) is 'Whether a retry of the job begins anew, since its rows were undone.';
