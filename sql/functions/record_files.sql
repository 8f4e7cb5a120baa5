-- What a batch did with each of its files: numbers are added, status and reading are set. Bounded by the batch: it
-- names each file that it has records of, or that ended in it, once.
create or replace function jobd.record_files(p_job_id uuid, p_files jsonb)
returns bigint  -- files that ended
language sql
security definer
set search_path = pg_catalog, jobd, pg_temp
set enable_nestloop = off  -- one pass over the batch's files, whatever is guessed about a table that was just filled
set enable_mergejoin = off
set enable_hashjoin = on  -- a batch's merge sets these for itself, and the transaction is the same
set enable_seqscan = off
as $$
    with r as materialized (
        select *
        from jsonb_to_recordset(p_files) as r (
            position int, status text, added bigint, updated bigint, unchanged bigint, skipped bigint, refused bigint,
            error_code text, error_message text, detected jsonb
        )
    ),
    changed as (
        update jobd.job_file f
        set status = r.status,
            items_added = f.items_added + r.added,
            items_updated = f.items_updated + r.updated,
            items_unchanged = f.items_unchanged + r.unchanged,
            items_skipped = f.items_skipped + r.skipped,
            success_count = f.success_count + r.added + r.updated + r.unchanged + r.skipped,
            error_count = f.error_count + r.refused,
            processed_rows = f.processed_rows + r.added + r.updated + r.unchanged + r.skipped + r.refused,
            error_code = r.error_code,
            error_message = left(r.error_message, 2000),
            detected = r.detected
        from r
        where f.job_id = p_job_id
            -- A batch's files follow one another, so this leaves those of other batches unread.
            and f.position between (select min(r.position) from r) and (select max(r.position) from r)
            and f.position = r.position
        returning r.status
    )
    select count(*) from changed where status <> 'running'
$$;

comment on function jobd.record_files(uuid, jsonb) is 'What a batch did with each of its files; gives how many ended.';
