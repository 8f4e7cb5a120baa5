-- BEFORE INSERT: whose bytes they are.
create or replace function jobd.blob_prepare()
returns trigger
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_role constant record := jobd.submitting_role(current_user);
begin
    new.submitted_role := v_role.role_name;
    new.submitted_role_oid := v_role.role_oid;
    return new;
end
$$;

comment on function jobd.blob_prepare() is 'Trigger: whose bytes they are.';
