-- Stores a batch's row errors, up to those of the job's 100,000th refused record, and counts all of them by group.
-- Arrays that are shorter than p_row are filled up with nulls, so that what is not stored need not be sent. A trigger
-- may name a constraint of any length.
create or replace function jobd.record_errors(
    p_job_id uuid, p_submitted_role_oid oid, p_errors_before bigint,
    p_row bigint[], p_line bigint[], p_file text[], p_field text[], p_type text[], p_code text[], p_message text[],
    p_sqlstate text[], p_constraint text[], p_raw text[]
)
returns void
language sql
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
    insert into jobd.job_error (
        job_id, row_number, line_number, file, field, error_type, code, message, sqlstate, constraint_name, raw_data,
        submitted_role_oid
    )
    select p_job_id, e.row_number, e.line_number, e.file, e.field, e.error_type, e.code, left(e.message, 2000),
        e.sqlstate, left(e.constraint_name, 63), left(e.raw_data, 500), p_submitted_role_oid
    from unnest(
        p_row, p_line, p_file, p_field, p_type, p_code, p_message, p_sqlstate, p_constraint, p_raw
    ) as e (
        row_number, line_number, file, field, error_type, code, message, sqlstate, constraint_name, raw_data
    )
    -- Records are ranked only where the limit is near.
    where p_errors_before + cardinality(p_row) <= 100000
        or (coalesce(e.file, ''), e.row_number) in (
            select distinct coalesce(u.file, ''), u.row_number
            from unnest(p_row, p_file) as u (row_number, file)
            order by 1, 2
            limit greatest(0, 100000 - p_errors_before)
        );

    insert into jobd.job_error_group as g (job_id, file, field, code, count, first_row, submitted_role_oid)
    select p_job_id, e.file, e.field, e.code, count(*), min(e.row_number), p_submitted_role_oid
    from unnest(p_row, p_file, p_field, p_code) as e (row_number, file, field, code)
    group by e.file, e.field, e.code
    order by e.file, e.field, e.code
    on conflict on constraint job_error_group_of_job do update
    set count = g.count + excluded.count, first_row = least(g.first_row, excluded.first_row);
$$;

comment on function jobd.record_errors is 'Stores a batch''s row errors and counts them by group.';
