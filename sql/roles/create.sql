-- The group roles, and the schema that the first of them owns. Run by whoever migrates, before anything else.
--
-- Roles belong to the whole cluster, so nothing is made twice and nothing is taken away. Their names are written
-- here with the default prefix; where JOBD_ROLE_PREFIX is set, migrate puts that in place of "jobd_", in every
-- file below sql/.
--
-- An administrator can run this file alone, once (`jobd migrate --sql --roles`), and give jobd_owner to the role
-- that migrates. Nothing after it needs a superuser, CREATEROLE or BYPASSRLS.

do $roles$
declare
    v_role text;
    v_may boolean not null := (select r.rolsuper or r.rolcreaterole from pg_catalog.pg_roles r where r.rolname = current_user);
begin
    foreach v_role in array array['jobd_owner', 'jobd_worker', 'jobd_submitter', 'jobd_monitor', 'jobd_admin'] loop
        continue when exists (select from pg_catalog.pg_roles r where r.rolname = v_role);
        if not v_may then
            raise insufficient_privilege using
                message = format('role %I does not exist, and %I may not create roles', v_role, current_user),
                hint = 'An administrator runs once, on this database: jobd migrate --sql --roles | psql';
        end if;
        begin
            execute format('create role %I nologin', v_role);
        exception when duplicate_object or unique_violation then
            null;  -- another migration, perhaps of another database, made it in the same moment
        end;
    end loop;

    -- Who works or administers also sees what a monitor sees; the views then ask one question only.
    foreach v_role in array array['jobd_owner', 'jobd_worker', 'jobd_admin'] loop
        continue when exists (
            select from pg_catalog.pg_auth_members m
            where m.roleid = 'jobd_monitor'::regrole and m.member = v_role::regrole
        );
        begin
            execute format('grant jobd_monitor to %I', v_role);
        exception when unique_violation then
            null;
        end;
    end loop;

    -- Structure is made by jobd_owner, so whoever migrates must be able to become it. From 16 on, whoever made a
    -- role may give it to themselves, but does not have it yet.
    if v_may and not pg_catalog.pg_has_role(
        current_user, 'jobd_owner', case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end
    ) then
        execute format('grant jobd_owner to %I', current_user);
    end if;
end
$roles$;

-- A managed server's administrator may make roles and nothing in another's database: then the schema is left to
-- whoever migrates.
do $schema$
begin
    if pg_catalog.to_regnamespace('jobd') is not null then
        null;
    elsif pg_catalog.has_database_privilege(current_database(), 'CREATE') then
        create schema jobd authorization jobd_owner;
    else
        raise notice 'the schema jobd is left to whoever migrates: % may not create one in the database %',
            current_user, current_database();
    end if;
end
$schema$;

-- A function is executable by everybody from the moment it is made, unless its owner's defaults say otherwise:
-- grants.sql gives each function to those who need it, and to nobody else.
alter default privileges for role jobd_owner revoke execute on routines from public;
