-- Which database this is: of which cluster, and which of its databases. A restored dump and a database that was copied
-- from a template differ in either; a physical copy of the whole cluster in neither, as it cannot be told from a
-- failover. Renaming a database changes nothing.
create or replace function jobd.database_identity(out system_identifier bigint, out database_oid oid)
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    select d.oid into database_oid from pg_catalog.pg_database d where d.datname = current_database();
    begin
        select c.system_identifier into system_identifier from pg_catalog.pg_control_system() c;
    exception when insufficient_privilege or undefined_function or feature_not_supported then
        null;  -- some hosted servers keep it to themselves
    end;
end
$$;

comment on function jobd.database_identity() is 'Which database of which cluster this is.';
