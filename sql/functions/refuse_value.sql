-- One shape for all messages about a value that a column cannot have.
create or replace function jobd.refuse_value(p_column text, p_constraint text, p_value text, p_expected text)
returns void
language plpgsql
immutable
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    raise check_violation using
        message = format('%s cannot be "%s"', p_column, left(p_value, 80)),
        hint = format('It must be %s.', p_expected),
        schema = 'jobd', table = 'job', column = p_column, constraint = p_constraint;
end
$$;

comment on function jobd.refuse_value(text, text, text, text) is 'Raises 23514 with what is expected.';
