-- Set a role up as a submitter, or change what it is limited to. Runs with the caller's rights: it needs a
-- superuser, or CREATEROLE with the admin option on the role and on jobd_submitter, and membership in jobd_admin.
create or replace function jobd.grant_submitter(
    p_role text,
    p_import_roots text[] default null,
    p_export_roots text[] default null,
    p_source_prefixes text[] default null,
    p_verifier text default null
)
returns text  -- the login's name
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
set client_min_messages = warning  -- "already a member" is no news when a grant is repeated
as $$
declare
    v_statement text;
begin
    foreach v_statement in array jobd.submitter_statements(
        p_role, p_import_roots, p_export_roots, p_source_prefixes, p_verifier
    ) loop
        execute v_statement;
    end loop;
    return jobd.login_name(p_role);
end
$$;

comment on function jobd.grant_submitter(text, text[], text[], text[], text) is
    'Sets a role up as a submitter (`jobd grant`); gives the name of the login its imports run under.';
