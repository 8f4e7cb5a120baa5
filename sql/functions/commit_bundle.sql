-- jobd.commit_batch for many jobs of one small file each, all of whose records are in this one transaction and none of
-- them refused: counters, cursors and files, under all their leases. Each job's first batch, and its last.
--
-- What commit_batch says of the session that calls it, and of locks, holds here as well.
create or replace function jobd.commit_bundle(
    p_job_ids uuid[],
    p_lease_tokens bigint[],
    p_added bigint[],
    p_updated bigint[],
    p_unchanged bigint[],
    p_skipped bigint[],
    p_cursors jsonb[]
)
returns table (job_id uuid, lease_token bigint, error_count bigint, processed_rows bigint)
language plpgsql
security definer
set search_path = pg_catalog, jobd, pg_temp
set lock_timeout = '3s'  -- an application may hold a row in an open transaction
set enable_hashjoin = on  -- a batch's merge sets these for itself, and the transaction is the same
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_owners oid[];
    v_found bigint;
    v_cancelled text;
begin
    if pg_trigger_depth() > 0 then
        raise insufficient_privilege using
            message = 'jobd.commit_bundle is called by a trigger',
            hint = 'What a job counts is the daemon''s to say; it calls this as the last statement of a batch.';
    end if;

    v_owners := array(select distinct j.submitted_role_oid from jobd.job j where j.id = any (p_job_ids));
    if cardinality(v_owners) <> 1 then
        perform jobd.check_bundle(p_job_ids, 0, null);
    end if;
    perform jobd.check_session(v_owners[1]);

    perform from jobd.job j where j.id = any (p_job_ids) order by j.id for no key update;

    with changed as (
        update jobd.job j
        set items_added = e.added,
            items_updated = e.updated,
            items_unchanged = e.unchanged,
            items_skipped = e.skipped,
            success_count = e.taken,
            processed_rows = e.taken,
            cursor = e.cursor,
            progress = greatest(j.progress, 99.99),
            files_done = 1,
            lost_lease_count = 0
        from (
            select u.*, u.added + u.updated + u.unchanged + u.skipped as taken
            from unnest(p_job_ids, p_lease_tokens, p_added, p_updated, p_unchanged, p_skipped, p_cursors)
                as u (job_id, lease_token, added, updated, unchanged, skipped, cursor)
        ) e
        where j.id = any (p_job_ids) and j.id = e.job_id and j.lease_token = e.lease_token
            and j.cursor is null and j.processed_rows = 0  -- nothing of it is committed yet
        returning j.id, j.status, j.cancel_requested
    )
    select count(*) filter (where c.status = 'running'), min(c.id::text) filter (where c.cancel_requested)
    into v_found, v_cancelled
    from changed c;
    perform jobd.check_bundle(p_job_ids, v_found, v_cancelled);

    update jobd.job_file f
    set status = 'completed',
        items_added = j.items_added,
        items_updated = j.items_updated,
        items_unchanged = j.items_unchanged,
        items_skipped = j.items_skipped,
        success_count = j.success_count,
        processed_rows = j.processed_rows
    from jobd.job j
    where f.job_id = any (p_job_ids) and f.position = 1 and j.id = any (p_job_ids) and j.id = f.job_id;

    return query
        select j.id, j.lease_token, j.error_count, j.processed_rows from jobd.job j where j.id = any (p_job_ids);
end
$$;

comment on function jobd.commit_bundle is
    'The last statement of a batch that is of many small jobs: counters and cursors, fenced by their leases.';
