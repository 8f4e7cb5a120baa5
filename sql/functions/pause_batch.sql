-- Pauses all jobs of a batch that the caller may control, as jobd.pause does; row-level security decides which these
-- are. Locks in id order.
create or replace function jobd.pause_batch(batch_id uuid, reason text default null)
returns bigint  -- jobs affected
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_affected bigint;
begin
    perform set_config('jobd.reason', coalesce(pause_batch.reason, ''), true);
    update jobd.job j
    set pause_requested = true
    where j.id = any (
        array(
            select b.id from jobd.job b
            where b.batch_id = pause_batch.batch_id and b.batch_id is not null
            order by b.id
            for no key update
        )
    )
    and j.status in ('pending', 'running') and not j.pause_requested;
    get diagnostics v_affected = row_count;
    perform set_config('jobd.reason', '', true);
    return v_affected;
end
$$;

comment on function jobd.pause_batch(uuid, text) is 'Pauses all jobs of a batch that the caller may control; gives how many.';
