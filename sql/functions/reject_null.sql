-- What stands in a line of jobd.rejects_csv for a column that the record's own file lacks: a null, in a word for it that
-- needs no quotes, as jobd.importing.reject_fields writes them.
create or replace function jobd.reject_null(p_options jsonb, p_column text)
returns text
language sql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
    with names as (
        select lower(btrim(p_column)) as name, 1 as place
        union all
        select lower(btrim(e.value)), 2
        from jsonb_each_text(coalesce(p_options -> 'columns', '{}')) e
        where lower(btrim(e.key)) = lower(btrim(p_column))
    ),
    stated as (
        select case when jsonb_typeof(o.stated) = 'object' then (
                select e.value
                from jsonb_each(o.stated) e
                join names n on n.name = lower(btrim(e.key))
                order by n.place
                limit 1
            ) else o.stated end as words
        from (values (p_options -> 'null_values')) o (stated)
    )
    select coalesce((
        select w.word
        from stated s, jsonb_array_elements_text(
            case jsonb_typeof(s.words) when 'array' then s.words when 'string' then jsonb_build_array(s.words) end
        ) with ordinality as w (word, place)
        where w.word !~ '["\r\n,;\t|]' and p_column not like '\_jobd\_%'
        order by w.word <> '', w.place
        limit 1
    ), '')
$$;

comment on function jobd.reject_null(jsonb, text) is 'Part of jobd.rejects_csv: a null of a column, as it is written there.';
