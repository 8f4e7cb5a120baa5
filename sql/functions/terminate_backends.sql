-- Ends the connections of a worker that is dead, so that the locks it died with do not hold up its successor: a
-- backend in the middle of COPY is under no timeout. With the caller's rights: a role may end its own connections,
-- so the daemon calls this once as itself and once as each submitter's login. In this database only: in a copy of it
-- the worker may be long gone, and yet be at work in the original.
create or replace function jobd.terminate_backends(p_worker_id uuid)
returns int
language sql
volatile
set search_path = pg_catalog, jobd, pg_temp
as $$
    select count(*) filter (where pg_terminate_backend(a.pid))::int
    from pg_stat_activity a
    where a.application_name = 'jobd:' || p_worker_id
        and a.usesysid = quote_ident(session_user)::regrole
        and a.datname = current_database()
        and a.pid <> pg_backend_pid()
$$;

comment on function jobd.terminate_backends(uuid) is 'Ends the caller''s own connections that a dead worker left.';
