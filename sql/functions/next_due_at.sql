-- When a worker of these queues need look again at the latest: the next run_at that lies ahead, or the time at which
-- a paused queue resumes. Null: nothing is known to become due.
create or replace function jobd.next_due_at(p_queues text[])
returns timestamptz
language sql
stable
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
    select min(
        case
            when p.is_paused and (p.resume_at is null or p.resume_at > clock_timestamp()) then p.resume_at
            else due.run_at
        end
    )
    from unnest(p_queues) as q (name)
    left join jobd.queue p on p.name = q.name
    cross join unnest(array['high', 'normal', 'low']) as r (priority)
    left join lateral (
        select j.run_at
        from jobd.job j
        where j.queue = q.name
            and j.priority = r.priority
            and j.status = 'pending'
            and not j.is_held
            and j.run_at > clock_timestamp()
        order by j.run_at
        limit 1
    ) due on true
$$;

comment on function jobd.next_due_at(text[]) is 'When something becomes due next in these queues.';
