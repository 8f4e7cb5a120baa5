-- Who submits, when this role inserts a job: a granted submitter, or one of jobd's own roles.
--
-- The caller's role comes as an argument, because in here current_user is the owner; the trigger that asks passes
-- its own current_user. Membership is followed through the catalog, since pg_has_role says yes to every superuser,
-- and since 16 a role may be a member without having, or being able to take, the rights.
create or replace function jobd.submitting_role(p_role text, out role_name text, out role_oid oid)
language plpgsql
stable
security definer
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_oid constant oid := quote_ident(p_role)::regrole;
    v_submitters text[];
    v_login oid;
begin
    select s.role_oid, s.login_oid into role_oid, v_login from jobd.submitter s where s.role_oid = v_oid;
    -- The first two questions are cheap and spare nearly everybody the third.
    if not found
        and exists (select from pg_auth_members m where m.member = v_oid)
        and exists (select from jobd.submitter s where pg_has_role(v_oid, s.role_oid, 'MEMBER'))
    then
        with recursive held (roleid) as (
            select v_oid
            union
            select m.roleid
            from pg_auth_members m
            join held h on h.roleid = m.member
            where coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true)
                or coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
        )
        select array_agg(pg_get_userbyid(s.role_oid)::text order by s.role_name), max(s.role_oid), max(s.login_oid)
        into v_submitters, role_oid, v_login
        from held h
        join jobd.submitter s on s.role_oid = h.roleid;
        if cardinality(v_submitters) > 1 then
            raise insufficient_privilege using
                message = format('%I is a member of several submitters: %s', p_role, array_to_string(v_submitters, ', ')),
                hint = format('Say for which one the job is, in the same transaction: set local role %I;', v_submitters[1]);
        end if;
    end if;

    if role_oid is not null then
        if not exists (select from pg_roles r where r.oid = v_login) then
            raise insufficient_privilege using
                message = format('submitter %I has no login for its imports', pg_get_userbyid(role_oid)),
                hint = format('An administrator runs: jobd grant %I', pg_get_userbyid(role_oid));
        end if;
        role_name := pg_get_userbyid(role_oid);
    elsif pg_has_role(v_oid, 'jobd_worker', 'MEMBER') or pg_has_role(v_oid, 'jobd_owner', 'MEMBER')
        or pg_has_role(v_oid, 'jobd_admin', 'MEMBER') then
        role_oid := v_oid;
        role_name := p_role;
    else
        raise insufficient_privilege using
            message = format('role %I may not submit jobs', p_role),
            hint = format('An administrator runs: jobd grant %I', p_role);
    end if;
end
$$;

comment on function jobd.submitting_role(text) is
    'The granted submitter that a role is, or is a member of; one of jobd''s own roles is itself.';
