-- A daemon stops, having handed back all it held.
create or replace function jobd.deregister_worker(p_worker_id uuid)
returns void
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_running bigint;
begin
    select count(*) into v_running from jobd.job j where j.status = 'running' and j.worker_id = p_worker_id;
    if v_running > 0 then
        raise object_in_use using
            message = format('worker %s still holds %s jobs', p_worker_id, v_running),
            hint = 'Hand them back with jobd.finish first; left as it is, they are rescued when its lease expires.';
    end if;
    delete from jobd.worker w where w.id = p_worker_id;
end
$$;

comment on function jobd.deregister_worker(uuid) is 'Forgets a worker that holds no job.';
