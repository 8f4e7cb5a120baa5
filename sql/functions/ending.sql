-- What an attempt's outcome makes of its job, given what was asked of the job meanwhile. A cancel that was accepted
-- is honoured whatever came of the attempt; a pause only where the job would go on; a pause that was withdrawn is
-- none. Bound when it is made, and so small that queries take it in.
create or replace function jobd.ending(
    p_outcome text, p_cancel_requested boolean, p_pause_requested boolean, p_retry_count int, p_max_retries int
)
returns text
language sql
immutable
parallel safe
return case
    when p_cancel_requested or p_outcome = 'cancelled' then 'cancelled'
    when p_outcome in ('completed', 'failed') then p_outcome
    when p_outcome = 'retry' and p_retry_count >= p_max_retries then 'failed'
    when p_pause_requested then 'paused'
    else 'pending'
end;

comment on function jobd.ending(text, boolean, boolean, int, int) is 'What an outcome makes of a job.';
