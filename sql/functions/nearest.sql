-- The known word that a misspelt one most likely meant; null when none is near.
create or replace function jobd.nearest(p_word text, p_known text[])
returns text
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_word constant text := lower(left(p_word, 40));
    v_candidate text;
    v_row int[];
    v_previous int[];
    v_distance int;
    v_best int := greatest(2, length(v_word) / 2 + 1);
    v_nearest text;
begin
    foreach v_candidate in array p_known loop
        -- Levenshtein's distance, row by row; fuzzystrmatch would need an extension.
        v_previous := array(select generate_series(0, length(v_candidate)));
        for i in 1 .. length(v_word) loop
            v_row := array[i];
            for k in 1 .. length(v_candidate) loop
                v_row[k + 1] := least(
                    v_row[k] + 1,
                    v_previous[k + 1] + 1,
                    v_previous[k] + (substr(v_word, i, 1) <> substr(v_candidate, k, 1))::int
                );
            end loop;
            v_previous := v_row;
        end loop;
        v_distance := v_previous[length(v_candidate) + 1];
        if v_distance < v_best then
            v_best := v_distance;
            v_nearest := v_candidate;
        end if;
    end loop;
    return v_nearest;
end
$$;

comment on function jobd.nearest(text, text[]) is 'The known word nearest to a misspelt one, for messages.';
