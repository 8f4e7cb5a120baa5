-- Dead workers that hold jobs, each with the logins of its jobs' submitters: their connections are ended before the
-- jobs are taken, or a backend frozen in the middle of COPY would keep its locks.
create or replace function jobd.dead_workers(p_worker_id uuid)
returns table (worker_id uuid, login_names text[])
language sql
volatile
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
    select l.worker_id, array_remove(array_agg(distinct s.login_name), null)
    from jobd.find_lost_workers(p_worker_id) l
    join jobd.job j on j.worker_id = l.worker_id and j.status = 'running'
    left join jobd.submitter s on s.role_oid = j.submitted_role_oid
    group by l.worker_id
$$;

comment on function jobd.dead_workers(uuid) is 'Dead workers that hold jobs, and whose connections they may have left.';
