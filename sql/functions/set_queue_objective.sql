-- How long jobs of a queue may wait for their claim. It changes no order and no limit: what waits longer counts against
-- the queue's objective in metrics and alerts.
create or replace function jobd.set_queue_objective(queue text, wait_seconds float8)
returns void
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
begin
    if set_queue_objective.queue is null or set_queue_objective.queue !~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$' then
        perform jobd.refuse_value('queue', 'queue_name_is_well_formed', set_queue_objective.queue,
            'up to 63 letters, digits, "_", ".", ":" or "-", the first a letter or digit');
    end if;
    if wait_seconds is null or not (wait_seconds > 0 and wait_seconds < 'infinity') then
        perform jobd.refuse_value('wait_seconds', 'queue_wait_objective_is_positive', wait_seconds::text,
            'a number of seconds greater than 0');
    end if;
    insert into jobd.queue as q (name, wait_objective_seconds)
    values (set_queue_objective.queue, wait_seconds)
    on conflict (name) do update set wait_objective_seconds = excluded.wait_objective_seconds;
end
$$;

comment on function jobd.set_queue_objective(text, float8) is
    'How long jobs of a queue may wait, for metrics and alerts.';
