-- A batch may be committed in one kind of session only: authenticated as the login that `jobd grant` made for the
-- job's submitter, or, where one of jobd's own roles submitted it, as that role. Not as the submitter itself: what a
-- job counts is the daemon's to say. session_user, because SET ROLE and functions of others cannot change it.
create or replace function jobd.check_session(p_submitted_role_oid oid)
returns void
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_session constant oid := quote_ident(session_user)::regrole;
begin
    if not (v_session = p_submitted_role_oid and pg_has_role(v_session, 'jobd_worker', 'MEMBER')) and not exists (
        select from jobd.submitter s where s.role_oid = p_submitted_role_oid and s.login_oid = v_session
    ) then
        raise insufficient_privilege using
            message = format(
                '%I may not commit batches of a job of %I', session_user, pg_get_userbyid(p_submitted_role_oid)
            ),
            hint = 'Batches run on a connection authenticated as the login that `jobd grant` made for the submitter.';
    end if;
end
$$;

comment on function jobd.check_session(oid) is 'Raises 42501 where the session is not the job''s submitter.';
