-- Undo jobd.grant_submitter: the role may submit no more and sees no job, its login is gone. The jobs stay, for
-- administrators; those not yet run fail as no_privilege.
create or replace function jobd.revoke_submitter(p_role text)
returns boolean  -- false: it was no submitter
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_submitter jobd.submitter%rowtype;
begin
    delete from jobd.submitter s where s.role_name = p_role returning * into v_submitter;
    if not found then
        return false;
    end if;
    if exists (select from pg_roles r where r.oid = v_submitter.role_oid) then
        execute format('revoke jobd_submitter from %I', pg_get_userbyid(v_submitter.role_oid));
    end if;
    if exists (select from pg_roles r where r.oid = v_submitter.login_oid) then
        begin
            execute format('drop role %I', pg_get_userbyid(v_submitter.login_oid));
        exception when dependent_objects_still_exist then
            -- A trigger of the submitter's made objects as this login. They are not jobd's to drop.
            execute format('alter role %I nologin', pg_get_userbyid(v_submitter.login_oid));
        end;
    end if;
    return true;
end
$$;

comment on function jobd.revoke_submitter(text) is 'Undoes jobd.grant_submitter; false when the role was no submitter.';
