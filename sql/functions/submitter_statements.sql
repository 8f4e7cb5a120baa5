-- What sets a role up as a submitter, as statements that an administrator can read before anybody runs them
-- (`jobd grant ROLE --sql`); jobd.grant_submitter runs exactly these.
--
-- The login is a member of the submitter's role and of nothing else: whatever code a target's owner gets to run in
-- it, it gains nothing that the submitter does not have already. That is why a role that is jobd's own, or a
-- superuser, cannot be set up, and why a login that exists already must be as bare as a new one.
create or replace function jobd.submitter_statements(
    p_role text,
    p_import_roots text[] default null,
    p_export_roots text[] default null,
    p_source_prefixes text[] default null,
    p_verifier text default null  -- a SCRAM verifier, so that no password is ever sent or logged; null: leave as is
)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_login constant text := jobd.login_name(p_role);
    v_role pg_roles%rowtype;
    v_existing pg_roles%rowtype;
    v_statements text[] := '{}';
    -- From 16 on, inheriting belongs to the grant; before, to the role.
    v_with_inherit constant text :=
        case when current_setting('server_version_num')::int >= 160000 then ' with inherit true' else '' end;
begin
    select * into v_role from pg_roles r where r.rolname = p_role;
    if not found then
        raise undefined_object using
            message = format('role %I does not exist', p_role),
            hint = format('Make it first, for example: create role %I login;', p_role);
    end if;
    if v_role.rolsuper then
        raise invalid_grant_operation using
            message = format('%I is a superuser: its login could become one', p_role),
            hint = 'Grant an ordinary role that owns, or may write to, the target tables, and submit as that role.';
    end if;
    if pg_has_role(v_role.oid, 'jobd_worker', 'MEMBER') or pg_has_role(v_role.oid, 'jobd_owner', 'MEMBER')
        or pg_has_role(v_role.oid, 'jobd_admin', 'MEMBER') then
        raise invalid_grant_operation using
            message = format('%I is one of jobd''s own roles', p_role),
            hint = 'It may submit as it is: when the daemon connects as it too, nothing has to be granted.';
    end if;
    if v_with_inherit = '' and not v_role.rolinherit then
        raise invalid_grant_operation using
            message = format('%I is NOINHERIT: it would not have what it is granted', p_role),
            hint = format('alter role %I inherit;', p_role);
    end if;

    select * into v_existing from pg_roles r where r.rolname = v_login;
    if found and (
        v_existing.rolsuper or v_existing.rolcreaterole or v_existing.rolcreatedb or v_existing.rolreplication
        or v_existing.rolbypassrls
        or exists (
            select from pg_auth_members m where m.member = v_existing.oid and m.roleid <> v_role.oid
        )
    ) then
        raise invalid_grant_operation using
            message = format('role %I exists already, with rights that are not those of %I', v_login, p_role),
            hint = format('Rename it, or take from it everything but membership in %I.', p_role);
    end if;

    v_statements := v_statements || format('grant jobd_submitter to %I%s', p_role, v_with_inherit);
    if v_existing.oid is null then
        v_statements := v_statements || format('create role %I login', v_login);
    elsif not v_existing.rolcanlogin then
        v_statements := v_statements || format('alter role %I login', v_login);
    end if;
    v_statements := v_statements || format('grant %I to %I%s', p_role, v_login, v_with_inherit);
    -- Code that runs in the login's sessions may have set it up so that the next ones are of no use.
    v_statements := v_statements || array(
        select format('alter role %I%s reset all', v_login, ' in database ' || quote_ident(d.datname))
        from pg_db_role_setting s
        left join pg_database d on d.oid = s.setdatabase
        where s.setrole = v_existing.oid
        order by s.setdatabase
    );
    if p_verifier is not null then
        v_statements := v_statements || format('alter role %I password %L', v_login, p_verifier);
    end if;
    return v_statements || array[
        -- What an earlier role of this name left behind: its jobs are not the new role's.
        format('delete from jobd.submitter where role_name = %L and role_oid <> %L::regrole', p_role, quote_ident(p_role)),
        format(
            'insert into jobd.submitter (role_oid, role_name, login_oid, login_name, import_roots, export_roots, source_prefixes)'
            ' values (%L::regrole, %L, %L::regrole, %L, %L, %L, %L)'
            ' on conflict (role_oid) do update set role_name = excluded.role_name,'
            ' login_oid = excluded.login_oid, login_name = excluded.login_name,'
            ' import_roots = excluded.import_roots, export_roots = excluded.export_roots,'
            ' source_prefixes = excluded.source_prefixes',
            quote_ident(p_role), p_role, quote_ident(v_login), v_login, p_import_roots, p_export_roots, p_source_prefixes
        )
    ];
end
$$;

comment on function jobd.submitter_statements(text, text[], text[], text[], text) is
    'The statements by which `jobd grant` sets a role up as a submitter.';
