-- What the daemon has to say about a job; the first 1,000 entries are kept.
create or replace function jobd.log(p_job_id uuid, p_level text, p_event text, p_data jsonb default null)
returns void
language sql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
    insert into jobd.job_log (job_id, level, event, data, submitted_role_oid)
    select j.id, p_level, left(p_event, 200), p_data, j.submitted_role_oid
    from jobd.job j
    where j.id = p_job_id
        and (select count(*) from (select from jobd.job_log l where l.job_id = p_job_id limit 1000) kept) < 1000
$$;

comment on function jobd.log(uuid, text, text, jsonb) is 'Writes a job''s log; bounded.';
