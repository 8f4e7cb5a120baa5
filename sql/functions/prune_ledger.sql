-- Forget which content was imported longer ago than that, oldest first. At most 10,000 entries a call, of the oldest
-- 10,000 that there are: call until it returns 0. The ledger has a row for each content and target, and outlives the
-- jobs, so that a file that comes again is recognised; whoever imports new files for ever has to say how long.
create or replace function jobd.prune_ledger(older_than interval)
returns bigint  -- entries deleted
language plpgsql
security definer  -- nobody else may delete entries
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_deleted bigint;
begin
    if older_than is null or older_than < interval '0' then
        raise invalid_parameter_value using
            message = 'older_than must be an age, as in interval ''2 years''';
    end if;

    delete from jobd.import_ledger l
    where l.id in (select oldest.id from jobd.import_ledger oldest order by oldest.id limit 10000)
      and l.created_at < clock_timestamp() - older_than;
    get diagnostics v_deleted = row_count;
    return v_deleted;
end
$$;

comment on function jobd.prune_ledger(interval) is
    'Forgets which content was imported longer ago than older_than, oldest first, at most 10,000 entries a call.';
