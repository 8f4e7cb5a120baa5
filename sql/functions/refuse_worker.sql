-- One message for a worker that is not, or no longer, registered.
create or replace function jobd.refuse_worker(p_worker_id uuid)
returns void
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    raise exception using
        errcode = 'JB003',
        message = case
            when exists (select from jobd.worker w where w.id = p_worker_id)
                then format('worker %s lost its lease; its jobs are taken from it', p_worker_id)
            else format('worker %s is not registered', p_worker_id)
        end,
        hint = 'Stop all of its jobs and register under a new id.';
end
$$;

comment on function jobd.refuse_worker(uuid) is 'Raises JB003.';
