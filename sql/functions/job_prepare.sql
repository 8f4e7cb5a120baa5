-- BEFORE INSERT: who submits, what follows from what was given, and whether the job must wait for another.
-- Runs with the rights of whoever inserts: current_user is the submitter, and row-level security decides which
-- jobs it may wait for.
create or replace function jobd.job_prepare()
returns trigger
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_role record;
    v_missing uuid;
begin
    if new.submitted_role is null or new.submitted_role_oid is null then
        v_role := jobd.submitting_role(current_user);
        new.submitted_role := v_role.role_name;
        new.submitted_role_oid := v_role.role_oid;
    end if;
    new.changed_by := coalesce(new.changed_by, current_user);

    if new.filename is null and new.source is not null and new.job_type <> 'export' then
        new.filename := nullif(
            substring(
                rtrim(
                    case when new.source ~ '^[a-z0-9]+://' then split_part(new.source, '?', 1) else new.source end, '/'
                )
                from '[^/]*$'
            ),
            ''
        );
    end if;

    if new.pause_requested then
        new.status := 'paused';
        new.pause_requested := false;
        new.paused_at := new.updated_at;
    end if;

    if new.idempotency_key is not null then
        perform jobd.refuse_taken_key(new.submitted_role_oid, new.idempotency_key, new.id);
    end if;

    if cardinality(new.after) > 0 then
        select a into v_missing
        from unnest(new.after) a
        where not exists (select from jobd.job j where j.id = a)
        limit 1;
        if v_missing is not null then
            raise foreign_key_violation using
                message = format('"after" names job %s, which does not exist', v_missing),
                hint = 'Insert the job to wait for first; only jobs of the same submitter can be waited for.',
                schema = 'jobd', table = 'job', column = 'after';
        end if;
    else
        new.after := null;
    end if;
    if new.after is not null or new.serial_key is not null then
        new.is_held := not (
            jobd.gate(new.id, new.after, new.submitted_role_oid, new.serial_key, new.created_at)
        ).is_open;
    end if;
    return new;
end
$$;

comment on function jobd.job_prepare() is 'Trigger: completes a new job row.';
