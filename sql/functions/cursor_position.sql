-- What two cursors of a job are compared by: the number of the file, then the records behind it. Null where a cursor
-- has none, as a handler's own may.
create or replace function jobd.cursor_position(p_cursor jsonb)
returns bigint[]
language sql
immutable
parallel safe
set search_path = pg_catalog, jobd, pg_temp
as $$
    select case when jsonb_typeof(p_cursor -> 'row') = 'number' then
        array[
            case when jsonb_typeof(p_cursor -> 'file') = 'number' then (p_cursor ->> 'file')::bigint else 0 end,
            (p_cursor ->> 'row')::bigint
        ]
    end
$$;

comment on function jobd.cursor_position(jsonb) is 'What two cursors of a job are compared by.';
