-- The columns of a job's refused records as rejects_csv writes them: the records' own, in the order in which they were
-- met, then what jobd adds. Row-level security decides whose job it may be.
create or replace function jobd.reject_columns(job_id uuid, only_file text default null)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_files_total int;
    v_names text[];
    v_are_all_known boolean;
begin
    select j.files_total into v_files_total from jobd.job j where j.id = reject_columns.job_id;
    if not found then
        raise no_data_found using
            message = format('job %s does not exist, or is another submitter''s', reject_columns.job_id),
            hint = 'Jobs that ended long ago are pruned.';
    end if;

    -- Records of one file have the same columns, so that there are few shapes of many records.
    with records as (
        select
            r.fields is not null as is_known,
            array(
                select k.name from json_object_keys(r.fields) with ordinality as k (name, place) order by k.place
            ) as names,
            row_number() over (order by r.file, r.row_number) as place
        from jobd.job_reject r
        where r.job_id = reject_columns.job_id and (only_file is null or r.file = only_file)
    ),
    shapes as (
        select s.names, min(s.place) as shape, bool_and(s.is_known) as is_known from records s group by s.names
    ),
    columns as (
        select distinct on (c.name) c.name, s.shape, c.place
        from shapes s, unnest(s.names) with ordinality as c (name, place)
        order by c.name, s.shape, c.place
    )
    select
        array(select c.name from columns c order by c.shape, c.place),
        coalesce((select bool_and(s.is_known) from shapes s), true)
    into v_names, v_are_all_known;

    return array(
            select c.name from unnest(v_names) with ordinality as c (name, place)
            where c.name <> all ('{_jobd_code,_jobd_filled,_jobd_record}')
            order by c.place
        )
        || '{_jobd_row,_jobd_line,_jobd_field,_jobd_reason}'::text[]
        || case when v_files_total > 1 then '{_jobd_file}'::text[] else '{}' end
        || case when '_jobd_record' = any (v_names) or not v_are_all_known
            then '{_jobd_code,_jobd_filled,_jobd_record}'::text[] else '{}' end;
end
$$;

comment on function jobd.reject_columns(uuid, text) is 'The columns of a job''s refused records, as rejects_csv writes them.';
