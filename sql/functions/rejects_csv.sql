-- A job's refused records as lines of CSV, the header first: in their own columns, each value as it was written, with
-- what is wrong behind them. Mended, the lines are a file that imports as it is; see README.md, "Mend and import again".
-- A page of at most 10,000 records: the next one begins behind after_file and after_row, without a header, and with the
-- columns of the first. Row-level security decides whose job it may be.
create or replace function jobd.rejects_csv(
    job_id uuid,
    only_file text default null,
    after_file text default null,
    after_row bigint default null,
    max_rows int default 1000,
    delimiter text default ',',
    columns text[] default null  -- default: all, as reject_columns has them
)
returns table (file text, row_number bigint, line text)
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    v_columns constant text[] := coalesce(
        rejects_csv.columns, jobd.reject_columns(rejects_csv.job_id, rejects_csv.only_file)
    );
    v_nulls text[];
    v_delimiter constant text := rejects_csv.delimiter;
    v_after_file constant text := coalesce(rejects_csv.after_file, rejects_csv.only_file, '');
begin
    if not exists (select from jobd.job j where j.id = rejects_csv.job_id) then
        raise no_data_found using
            message = format('job %s does not exist, or is another submitter''s', rejects_csv.job_id),
            hint = 'Jobs that ended long ago are pruned.';
    end if;
    if v_delimiter is null or length(v_delimiter) <> 1 or v_delimiter in ('"', E'\r', E'\n') then
        raise invalid_parameter_value using
            message = format('delimiter %L is not one character, or is a quote or a line end', v_delimiter),
            hint = 'Write a comma, a semicolon or a tab.';
    end if;

    if rejects_csv.after_row is null then
        return query
            select '', 0::bigint, string_agg(
                case when c.name ~ '["\r\n]' or position(v_delimiter in c.name) > 0
                    then '"' || replace(c.name, '"', '""') || '"' else c.name end,
                v_delimiter order by c.place
            ) || E'\n'
            from unnest(v_columns) with ordinality as c (name, place);
    end if;

    select array_agg(jobd.reject_null(j.options, c.name) order by c.place) into v_nulls
    from jobd.job j, unnest(v_columns) with ordinality as c (name, place)
    where j.id = rejects_csv.job_id;

    return query
        with page as materialized (
            select r.file, r.row_number, r.fields, r.record,
                -- Such a line is mended once more of its columns are filled.
                r.fields is null or r.fields ->> '_jobd_record' is not null as is_whole
            from jobd.job_reject r
            where r.job_id = rejects_csv.job_id
                and (rejects_csv.only_file is null or r.file = rejects_csv.only_file)
                and (r.file, r.row_number) > (v_after_file, coalesce(rejects_csv.after_row, -1))
            order by r.file, r.row_number
            limit least(greatest(rejects_csv.max_rows, 0), 10000)
        ),
        reasons as materialized (
            select
                p.file,
                p.row_number,
                min(e.line_number)::text as line_number,
                string_agg(distinct e.field, '; ') as field,
                string_agg(e.message, '; ' order by e.id) as reason
            from jobd.job_error e
            join page p on p.file = coalesce(e.file, '') and p.row_number = e.row_number
            where e.job_id = rejects_csv.job_id
            group by p.file, p.row_number
        )
        select p.file, p.row_number, l.line || E'\n'
        from page p
        left join reasons e on e.file = p.file and e.row_number = p.row_number
        cross join lateral (
            select string_agg(
                -- What was quoted stays so, and else quotes would make a text of a word for null.
                case
                    when v.value is null then case when p.is_whole then '' else c.null_word end
                    when position(v_delimiter in v.value) > 0 and left(v.value, 1) <> '"' then '"' || v.value || '"'
                    else v.value
                end,
                v_delimiter order by c.place
            ) as line
            from unnest(v_columns, v_nulls) with ordinality as c (name, null_word, place)
            left join (
                select f.key, f.value from json_each_text(p.fields) as f
                union all
                select o.key, case when o.value ~ '["\r\n]' then '"' || replace(o.value, '"', '""') || '"' else o.value end
                from (
                    values
                        ('_jobd_row', p.row_number::text),
                        ('_jobd_line', e.line_number),
                        ('_jobd_field', e.field),
                        ('_jobd_reason', e.reason),
                        ('_jobd_file', p.file),
                        -- Kept by a release that did not take records apart.
                        ('_jobd_record', case when p.fields is null then encode(p.record, 'escape') end)
                ) as o (key, value)
                where o.value is not null
            ) as v on v.key = c.name
        ) as l
        order by p.file, p.row_number;
end
$$;

comment on function jobd.rejects_csv(uuid, text, text, bigint, int, text, text[]) is
    'A job''s refused records as lines of CSV, to be mended and imported again.';
