-- What `jobd doctor` asks. Everything here may be asked by anybody; what one may not see is null.

-- name: doctor_server
-- Which server answers, and as what; how far its clock is, when asked just now.
select
    current_setting('server_version_num')::int as version_number,
    current_setting('server_version') as version,
    current_database() as database,
    current_user as role,
    session_user as login,
    pg_backend_pid() as pid,
    pg_is_in_recovery() as is_standby,
    current_setting('transaction_read_only')::bool as is_read_only,
    coalesce(host(inet_server_addr()), '') in ('', '127.0.0.1', '::1') as is_local,
    (select ssl.ssl from pg_stat_ssl as ssl where ssl.pid = pg_backend_pid()) as is_encrypted,
    extract(epoch from clock_timestamp())::float8 as clock;

-- name: doctor_parts
-- Indexes and triggers of jobd's tables, and whether they are in use.
select index_class.relname as name, 'index' as kind, index.indisvalid and index.indisready as is_sound
from pg_index as index
inner join pg_class as index_class on index.indexrelid = index_class.oid
where index_class.relnamespace = to_regnamespace('jobd')
union all
select trigger.tgname, 'trigger', trigger.tgenabled in ('O', 'A')
from pg_trigger as trigger
inner join pg_class as relation on trigger.tgrelid = relation.oid
where relation.relnamespace = to_regnamespace('jobd') and not trigger.tgisinternal;

-- name: doctor_role
-- What the login may do: what it needs to, and what it needs not to.
select
    role.rolsuper as is_superuser,
    role.rolbypassrls as bypasses_row_security,
    coalesce(has_function_privilege(to_regprocedure('jobd.claim(uuid, text[], int, text[])'), 'execute'), false) as may_claim,
    role.rolsuper or role.rolcreaterole as may_create_roles,
    pg_has_role('pg_read_all_stats', 'usage') as sees_activity
from pg_roles as role
where role.rolname = current_user;

-- name: doctor_groups
-- What the login is a member of.
select rolname as role from pg_roles where pg_has_role(oid, 'member') and rolname <> current_user;

-- name: doctor_submitters
-- The roles that may submit, and what has become of them and of their logins since.
select
    submitter.role_name,
    submitter.login_name,
    role.oid is not null as has_role,
    login.oid is not null and login.rolcanlogin and (login.rolvaliduntil is null or login.rolvaliduntil > now())
        as has_login,
    coalesce(pg_has_role(login.oid, role.oid, 'member'), false) as is_member
from jobd.submitter as submitter
left join pg_roles as role on submitter.role_oid = role.oid
left join pg_roles as login on submitter.login_oid = login.oid
order by submitter.role_name
limit $1;

-- name: doctor_transactions
-- The transactions of this database that have been open longest, and what they hold back.
select
    pid,
    coalesce(usename, '') as role,
    coalesce(application_name, '') as application,
    coalesce(state, '') as state,
    extract(epoch from clock_timestamp() - xact_start)::float8 as seconds
from pg_stat_activity
where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()
order by xact_start
limit 1;

-- name: doctor_prepared
-- Transactions that somebody prepared and never ended.
select gid, owner, extract(epoch from clock_timestamp() - prepared)::float8 as seconds
from pg_prepared_xacts
where database = current_database()
order by prepared
limit 1;

-- name: doctor_slots
-- Replication slots that nobody reads, and how much the server keeps for them.
select
    slot_name,
    slot_type,
    coalesce(xmin, catalog_xmin) is not null as holds_back_vacuum,
    case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 end
        as kept_bytes
from pg_replication_slots
where not active
order by restart_lsn nulls last
limit 20;

-- name: doctor_tables
-- jobd's tables: dead rows, and whether autovacuum looks after them.
select
    stat.relname as name,
    stat.n_live_tup as live,
    stat.n_dead_tup as dead,
    pg_total_relation_size(stat.relid) as bytes,
    coalesce(
        (
            select option.option_value::bool
            from pg_options_to_table(relation.reloptions) as option
            where option.option_name = 'autovacuum_enabled'
        ),
        true
    ) as is_vacuumed
from pg_stat_all_tables as stat
inner join pg_class as relation on stat.relid = relation.oid
where stat.schemaname = 'jobd'
order by stat.n_dead_tup desc;

-- name: doctor_age
-- How old the database's oldest transaction id is; at two thousand million the server stops.
select age(datfrozenxid) as transactions from pg_database where datname = current_database();

-- name: doctor_settings
-- Settings of the server that matter, as they are for this login.
select name, setting, coalesce(unit, '') as unit
from pg_settings
where name = any ($1::text[]);

-- name: doctor_connections
-- How many connections there are, and what the living daemons may come to.
select
    current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int as allowed,
    (select count(*) from pg_stat_activity where backend_type = 'client backend') as used,
    (select role.rolconnlimit from pg_roles as role where role.rolname = session_user) as of_login,
    (
        select coalesce(sum(slots + $1::int), 0)
        from jobd.worker
        where lost_at is null and lease_expires_at > clock_timestamp()
    ) as by_daemons;

-- name: doctor_workers
-- The daemons that are alive.
select name, host, version, queues, slots, is_draining
from jobd.worker
where lost_at is null and lease_expires_at > clock_timestamp()
order by name;

-- name: doctor_queues
-- What waits in each queue.
select queue, is_paused, due, oldest_due_age_seconds
from jobd.queue_stats
order by queue;
