-- The payload of a jobd_event notification. Any role may listen, so it carries no names and no data.
create or replace function jobd.event_json(p_event jobd.job_event, p_job_type text, p_queue text)
returns text
language sql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
    select json_build_object(
        'id', p_event.id, 'event_type', p_event.event_type, 'job_id', p_event.job_id, 'job_type', p_job_type,
        'queue', p_queue, 'old_status', p_event.old_status, 'new_status', p_event.new_status,
        'version', p_event.version, 'created_at', p_event.created_at
    )::text
$$;

comment on function jobd.event_json(jobd.job_event, text, text) is 'The payload of a jobd_event notification.';
