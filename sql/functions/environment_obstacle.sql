-- Why a daemon of this environment must not work in this database; null where it may. Where nothing is recorded
-- anybody may; where something is, a daemon that names no environment may not.
create or replace function jobd.environment_obstacle(p_name text)
returns text
language sql
stable
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
    select case
        when e.name is distinct from p_name then
            format('the database belongs to the environment %s, this daemon to %s', e.name, coalesce(p_name, 'none'))
        when e.database_oid <> i.database_oid or e.system_identifier <> i.system_identifier then
            format('the database is a copy of the one that was recorded as the environment %s', e.name)
    end
    from jobd.environment e
    cross join jobd.database_identity() i
$$;

comment on function jobd.environment_obstacle(text) is
    'Why a daemon of an environment must not work in this database; null where it may.';
