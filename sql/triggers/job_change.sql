-- Undoing a change lets the same content be imported again; so may what later jobs left to this one as unchanged. A
-- submitter may not write the ledger itself: DELETE would let it LOCK the table that every import needs.
create or replace function jobd.forget_undone()
returns trigger
language plpgsql
security definer  -- the caller could update the change, which is how this came to run; the ledger it may only read
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    delete from jobd.import_ledger l
    using jobd.job kept, jobd.job undone
    where undone.id in (
            select n.job_id from new_changes n join old_changes o on o.id = n.id and o.job_id = n.job_id
            where o.reverted_at is null and n.reverted_at is not null
        )
        and l.job_id = kept.id
        and (
            kept.id = undone.id
            or md5(kept.source) = md5(undone.source) and kept.source is not null
                and kept.source = undone.source and kept.target = undone.target
                and kept.submitted_role_oid = undone.submitted_role_oid
                and kept.created_at >= undone.created_at and (kept.options ->> 'changed_only')::boolean
        );
    return null;
end
$$;

comment on function jobd.forget_undone() is 'Trigger: content whose import was undone may be imported again.';

create or replace trigger job_change_forget
after update on jobd.job_change
referencing old table as old_changes new table as new_changes
for each statement
execute function jobd.forget_undone();
