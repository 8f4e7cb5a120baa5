-- Expand.
-- What has been applied to this database. Old daemons: there are none.

create table jobd.schema_version (
    version int primary key,
    name text not null,
    applied_at timestamptz not null default clock_timestamp(),
    applied_by text not null default session_user
);

comment on table jobd.schema_version is 'The migrations that were applied, each once.';

create table jobd.schema_text (
    folder text primary key,
    sha256 text not null,
    applied_at timestamptz not null default clock_timestamp()
);

comment on table jobd.schema_text is
    'What migrate lays anew whenever its text changes: roles, functions, triggers, views, rights.';
