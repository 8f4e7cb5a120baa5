-- Claims from a queue begin again; its workers are woken.
create or replace function jobd.resume_queue(queue text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
begin
    update jobd.queue q
    set is_paused = false, resume_at = null, paused_at = null, paused_by = null
    where q.name = resume_queue.queue;
    if not found then
        raise no_data_found using
            message = format('there is no queue "%s"', resume_queue.queue),
            hint = 'The queues there are: select name from jobd.queue.';
    end if;
    if coalesce(current_setting('jobd.notify', true), '') <> 'off' then
        perform pg_notify('jobd_job', resume_queue.queue);
    end if;
end
$$;

comment on function jobd.resume_queue(text) is 'Claims from a queue begin again.';
