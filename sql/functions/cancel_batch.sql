-- Cancels all jobs of a batch that the caller may control, as jobd.cancel does; row-level security decides which these
-- are. Locks in id order.
create or replace function jobd.cancel_batch(batch_id uuid, reason text default null)
returns bigint  -- jobs affected
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_affected bigint;
begin
    update jobd.job j
    set cancel_requested = true, cancellation_reason = cancel_batch.reason
    where j.id = any (
        array(
            select b.id from jobd.job b
            where b.batch_id = cancel_batch.batch_id and b.batch_id is not null
            order by b.id
            for no key update
        )
    )
    and j.status in ('pending', 'running', 'paused') and not j.cancel_requested;
    get diagnostics v_affected = row_count;
    return v_affected;
end
$$;

comment on function jobd.cancel_batch(uuid, text) is
    'Cancels all jobs of a batch that the caller may control; gives how many.';
