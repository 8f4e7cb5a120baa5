-- jobd.explain for a job that runs: whether its worker lives, what was asked of it, and who is in its way.
--
-- A worker's backends carry its id as their application_name, which everybody may see. The text of a blocking
-- query is shown to those who may see it: its own role, and members of pg_read_all_stats.
create or replace function jobd.explain_running(p_job jobd.job)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_reasons text[] := '{}';
    v_worker jobd.worker%rowtype;
    v_blocked record;
begin
    select * into v_worker from jobd.worker w where w.id = p_job.worker_id;
    if v_worker.id is null or v_worker.lost_at is not null or v_worker.lease_expires_at <= clock_timestamp() then
        v_reasons := v_reasons || format(
            'The lease of its worker %s expired%s. Any live daemon takes it over within seconds; if none is left, start one: jobd run',
            coalesce(v_worker.name, p_job.worker_id::text), ' at ' || v_worker.lease_expires_at);
    else
        v_reasons := v_reasons || format('Worker %s runs it since %s; last progress %s: %s rows, %s %%.',
            v_worker.name, p_job.claimed_at, p_job.updated_at, p_job.processed_rows, round(p_job.progress::numeric, 1));
    end if;
    if p_job.cancel_requested then
        v_reasons := v_reasons || 'It is asked to cancel: its worker rolls the open batch back at once.'::text;
    elsif p_job.pause_requested then
        v_reasons := v_reasons || 'It is asked to pause: its worker stops at the end of the open batch.'::text;
    end if;
    if p_job.waiting_reason is not null then
        v_reasons := v_reasons || format('It is slowed down: %s.', rtrim(p_job.waiting_reason, '.'));
    end if;

    for v_blocked in
        select b.pid, a.usename, a.application_name, a.state, a.xact_start, left(a.query, 200) as query
        from (
            select distinct unnest(pg_blocking_pids(own.pid)) as pid
            from pg_stat_activity own
            where own.application_name = 'jobd:' || p_job.worker_id
        ) as b
        left join pg_stat_activity a on a.pid = b.pid
        where a.application_name is distinct from 'jobd:' || p_job.worker_id
        order by b.pid
        limit 5
    loop
        v_reasons := v_reasons || format(
            'A backend of its worker is blocked by backend %s%s%s%s%s. End that transaction, or as an administrator: select pg_terminate_backend(%1$s);',
            v_blocked.pid,
            ' of ' || v_blocked.usename,
            ' (' || nullif(v_blocked.application_name, '') || ')',
            ', ' || v_blocked.state || ' since ' || v_blocked.xact_start,
            ', running: ' || case when v_blocked.query <> '<insufficient privilege>' then nullif(v_blocked.query, '') end);
    end loop;
    return v_reasons;
end
$$;

comment on function jobd.explain_running(jobd.job) is 'Internal: jobd.explain for running jobs.';
