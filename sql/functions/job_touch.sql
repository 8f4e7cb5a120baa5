-- BEFORE UPDATE, last: the row's time, version and actor. The clock rather than now(), because a transaction may be
-- older than the job it changes.
create or replace function jobd.job_touch()
returns trigger
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    new.updated_at := greatest(clock_timestamp(), old.updated_at);
    if new.status <> old.status
        or new.cancel_requested <> old.cancel_requested
        or new.pause_requested <> old.pause_requested
        or new.priority <> old.priority
        or new.metadata <> old.metadata
        or new.erased_at is distinct from old.erased_at
    then
        new.version := old.version + 1;
        if current_user <> 'jobd_owner' then
            new.changed_by := current_user;
            new.change_reason := case
                when new.cancel_requested and not old.cancel_requested or new.status = 'cancelled'
                    then new.cancellation_reason
                else nullif(current_setting('jobd.reason', true), '')  -- jobd.pause has no column for its reason
            end;
        end if;
    end if;
    return new;
end
$$;

comment on function jobd.job_touch() is 'Trigger: updated_at, version, and who changed the row.';
