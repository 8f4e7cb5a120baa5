-- Records the environment that the database belongs to, once: for jobd migrate, as the owner. To adopt a database that
-- is recorded already is to record it anew, as it is now. Gives whether anything was recorded.
create or replace function jobd.record_environment(p_name text, p_adopt boolean default false)
returns boolean
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    insert into jobd.environment as e (name, system_identifier, database_oid)
    select p_name, i.system_identifier, i.database_oid
    from jobd.database_identity() i
    on conflict (is_only) do update set
        name = excluded.name,
        system_identifier = excluded.system_identifier,
        database_oid = excluded.database_oid,
        recorded_by = excluded.recorded_by,
        created_at = excluded.created_at
    where p_adopt;
    return found;
end
$$;

comment on function jobd.record_environment(text, boolean) is
    'Records which environment the database belongs to.';
