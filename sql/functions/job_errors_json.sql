-- A job's row errors as one JSON array, in file order, for applications that want them in one value. Row-level
-- security decides whose job it may be.
create or replace function jobd.job_errors_json(job_id uuid)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
begin
    if not exists (select from jobd.job j where j.id = job_errors_json.job_id) then
        raise no_data_found using
            message = format('job %s does not exist, or is another submitter''s', job_errors_json.job_id),
            hint = 'Jobs that ended long ago are pruned.';
    end if;
    return coalesce(
        (
            select jsonb_agg(
                jsonb_build_object(
                    'row', e.row_number,
                    'field', e.field,
                    'error_type', e.error_type,
                    'message', e.message,
                    'raw_data', e.raw_data,
                    'timestamp', e.created_at
                )
                order by e.file nulls first, e.row_number, e.id
            )
            from jobd.job_error e
            where e.job_id = job_errors_json.job_id
        ),
        '[]'
    );
end
$$;

comment on function jobd.job_errors_json(uuid) is
    'The errors of a job as one JSON array of {row, field, error_type, message, raw_data, timestamp}.';
