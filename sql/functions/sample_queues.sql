-- What waits and runs in each queue, for metrics. Counts stop at 10,000, so that a sample costs the same whatever the
-- backlog; the age of the oldest due job is exact, and stands on the row of the pending ones. Overdue are
-- jobs that have been due for longer than the queue's objective.
create or replace function jobd.sample_queues()
returns table (
    queue text, status text, jobs bigint, oldest_due_age_seconds float8, is_paused boolean, overdue bigint,
    wait_objective_seconds float8
)
language sql
volatile
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
    with held as materialized (
        select h.queue, count(*) as jobs
        from (select j.queue from jobd.job j where j.is_held and j.status = 'pending' limit 10000) h
        group by h.queue
    ),
    running as materialized (
        select j.queue, count(*) as jobs from jobd.job j where j.status = 'running' group by j.queue
    ),
    waiting as materialized (
        select q.name, sum(p.jobs)::bigint as jobs, min(p.oldest) as oldest, sum(p.overdue)::bigint as overdue
        from jobd.queue q
        cross join unnest(array['high', 'normal', 'low']) as r (priority)
        cross join lateral (
            select
                (
                    select count(*)
                    from (
                        select from jobd.job j
                        where j.queue = q.name and j.priority = r.priority and j.status = 'pending' and not j.is_held
                        limit 10000
                    ) capped
                ) as jobs,
                (
                    select j.run_at from jobd.job j
                    where j.queue = q.name and j.priority = r.priority and j.status = 'pending' and not j.is_held
                        and j.run_at <= clock_timestamp()
                    order by j.run_at
                    limit 1
                ) as oldest,
                (
                    select count(*)
                    from (
                        select from jobd.job j
                        where j.queue = q.name and j.priority = r.priority and j.status = 'pending' and not j.is_held
                            and j.run_at < clock_timestamp() - make_interval(secs => q.wait_objective_seconds)
                        limit 10000
                    ) capped
                ) as overdue
        ) p
        group by q.name
    )
    select
        q.name, s.status, least(s.jobs, 10000),
        case when s.status = 'pending' then coalesce(extract(epoch from clock_timestamp() - w.oldest)::float8, 0) end,
        q.is_paused and (q.resume_at is null or q.resume_at > clock_timestamp()),
        least(w.overdue, 10000), q.wait_objective_seconds
    from jobd.queue q
    join waiting w on w.name = q.name
    left join held h on h.queue = q.name
    left join running r on r.queue = q.name
    cross join lateral (
        values
        ('pending', w.jobs + coalesce(h.jobs, 0)),
        ('running', coalesce(r.jobs, 0)),
        (
            'paused',
            (
                select count(*)
                from (select from jobd.job j where j.queue = q.name and j.status = 'paused' limit 10000) capped
            )
        )
    ) as s (status, jobs)
    order by q.name, s.status
$$;

comment on function jobd.sample_queues() is 'What waits and runs in each queue, capped counts.';
