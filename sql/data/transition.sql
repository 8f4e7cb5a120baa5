-- The life of a job. A trigger (triggers/job.sql) refuses everything that is not here, for everybody.
with known (old_status, new_status, cause) as (
    values
    ('pending', 'running', 'a worker claims it'),
    ('pending', 'paused', 'pause, or inserted with pause_requested'),
    ('pending', 'cancelled', 'cancel'),
    ('pending', 'failed', 'a job that it waits for failed or was cancelled'),
    ('running', 'completed', 'its worker finished it'),
    ('running', 'failed', 'its worker failed it, or its lease was lost too often'),
    ('running', 'cancelled', 'cancel, honoured by its worker or by the rescuer'),
    ('running', 'paused', 'pause, honoured by its worker or by the rescuer'),
    ('running', 'pending', 'retry after an error, shutdown, rescue, release'),
    ('paused', 'pending', 'resume'),
    ('paused', 'cancelled', 'cancel'),
    ('failed', 'pending', 'retry'),
    ('cancelled', 'pending', 'retry')
),
gone as (
    delete from jobd.transition t
    where not exists (
        select from known k where k.old_status = t.old_status and k.new_status = t.new_status
    )
)
insert into jobd.transition (old_status, new_status, cause)
select k.old_status, k.new_status, k.cause from known k
on conflict (old_status, new_status) do update set cause = excluded.cause
where transition.cause <> excluded.cause;
