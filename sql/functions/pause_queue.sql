-- No new claims from a queue, until it is resumed or the given time has come; running jobs go on.
create or replace function jobd.pause_queue(queue text, resume_at timestamptz default null)
returns void
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
begin
    if pause_queue.queue is null or pause_queue.queue !~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$' then
        perform jobd.refuse_value('queue', 'queue_name_is_well_formed', pause_queue.queue,
            'up to 63 letters, digits, "_", ".", ":" or "-", the first a letter or digit');
    end if;
    insert into jobd.queue as q (name, is_paused, resume_at, paused_at, paused_by)
    values (pause_queue.queue, true, pause_queue.resume_at, clock_timestamp(), session_user)
    on conflict (name) do update
    set is_paused = true, resume_at = excluded.resume_at, paused_at = excluded.paused_at, paused_by = excluded.paused_by;
end
$$;

comment on function jobd.pause_queue(text, timestamptz) is 'No new claims from a queue; running jobs go on.';
