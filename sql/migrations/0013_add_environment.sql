-- Expand.
-- Which environment the database belongs to, and which database it is: a copy of production is noticed by either, and
-- daemons start nothing in it until somebody adopts it. Nothing is recorded until a migrate names an environment.

create table jobd.environment (
    is_only boolean primary key default true
        constraint environment_is_only check (is_only),
    name text not null
        constraint environment_name_is_well_formed check (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
    -- Null where the server does not say. A copy of the files keeps it, and so does a standby that is promoted.
    system_identifier bigint,
    database_oid oid not null,
    recorded_by text not null default session_user,
    created_at timestamptz not null default clock_timestamp()
);

comment on table jobd.environment is 'The environment that the database belongs to, and the database that it was then.';
