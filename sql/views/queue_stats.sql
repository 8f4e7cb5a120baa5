-- What waits in each queue, counting the jobs that the caller may see. Counts stop at 10,000 (which then means
-- "10,000 or more"), so that reading this stays cheap whatever the backlog; the age of the oldest due job is exact.
create or replace view jobd.queue_stats with (security_invoker) as
select q.queue, q.is_paused, q.pending, q.due, q.running, q.paused, q.oldest_due_age_seconds
from jobd.visible_queue q;

comment on view jobd.queue_stats is
    'The caller''s waiting, running and paused jobs by queue (up to 10,000 each), and the age of the oldest due one.';
