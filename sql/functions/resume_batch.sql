-- Resumes all jobs of a batch that the caller may control, as jobd.resume does; row-level security decides which these
-- are. Locks in id order.
create or replace function jobd.resume_batch(batch_id uuid)
returns bigint  -- jobs affected
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_affected bigint;
begin
    update jobd.job j
    set pause_requested = false
    where j.id = any (
        array(
            select b.id from jobd.job b
            where b.batch_id = resume_batch.batch_id and b.batch_id is not null
            order by b.id
            for no key update
        )
    )
    and j.status in ('running', 'paused') and (j.status = 'paused' or j.pause_requested);
    get diagnostics v_affected = row_count;
    return v_affected;
end
$$;

comment on function jobd.resume_batch(uuid) is 'Resumes all jobs of a batch that the caller may control; gives how many.';
