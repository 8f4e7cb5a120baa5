-- The login under which a submitter's imports run. A name longer than PostgreSQL keeps is cut and made distinct
-- again, so that two long role names never share a login.
create or replace function jobd.login_name(p_role text)
returns text
language sql
immutable
strict
parallel safe
set search_path = pg_catalog, jobd, pg_temp
as $$
    select case
        when octet_length('jobd_login' || '_' || p_role) <= 63 then 'jobd_login' || '_' || p_role
        else 'jobd_login' || '_' || left(p_role, 8) || '_' || left(md5(p_role), 12)
    end
$$;

comment on function jobd.login_name(text) is 'The name of the login that `jobd grant` makes for a role.';
