-- When this server last started or recovered from a crash. Statistics are thrown away after a crash, so their reset
-- tells of one, which the postmaster's own start time does not. A later time than the true one does no harm: it
-- only makes rescuers wait for leases to expire.
create or replace function jobd.server_epoch()
returns timestamptz
language sql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
    select greatest(pg_postmaster_start_time(), (select w.stats_reset from pg_stat_wal w))
$$;

comment on function jobd.server_epoch() is 'When the server last started or recovered.';
