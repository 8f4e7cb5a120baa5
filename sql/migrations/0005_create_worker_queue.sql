-- Expand.
-- Who works, what may be claimed, and who may submit. Old daemons: there are none.

create table jobd.worker (
    id uuid primary key,
    name text not null,
    host text not null,
    pid int not null,
    version text not null,
    queues text[] not null,
    slots int not null,
    login_name text not null,
    lease_seconds double precision not null,
    heartbeat_seconds double precision not null,
    lease_expires_at timestamptz not null,
    heartbeat_at timestamptz not null,
    -- Since when it has beaten without a gap: whoever was cut off itself cannot tell that others are dead.
    beating_since timestamptz not null,
    -- The server's identity at the last beat: after a restart or failover an absent listener proves nothing.
    server_epoch timestamptz not null,
    listener_pid int,
    listener_started_at timestamptz,
    memory_bytes bigint,
    is_draining boolean not null default false,
    lost_at timestamptz,
    lost_reason text,
    created_at timestamptz not null default clock_timestamp()
)
-- One narrow row per worker, written at every beat: HOT for ever, as nothing but the id is indexed.
with (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

comment on table jobd.worker is 'Running daemons; a worker that is lost keeps its row for a day.';

create table jobd.queue (
    name text primary key
        constraint queue_name_is_well_formed check (name ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$'),
    is_paused boolean not null default false,
    resume_at timestamptz,
    paused_at timestamptz,
    paused_by text,
    created_at timestamptz not null default clock_timestamp(),
    constraint queue_resumes_when_paused check (is_paused or resume_at is null)
);

comment on table jobd.queue is 'Queues, each made at its first use.';

insert into jobd.queue (name) values ('default');

create table jobd.schedule (
    id uuid primary key default jobd.uuid7(),
    name text not null,
    cron text not null,
    time_zone text not null default 'UTC',
    job jsonb not null
        constraint schedule_job_is_object check (jsonb_typeof(job) = 'object'),
    is_paused boolean not null default false,
    next_run_at timestamptz,
    last_run_at timestamptz,
    last_job_id uuid,
    submitted_role text not null,
    submitted_role_oid oid not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint schedule_name unique (submitted_role_oid, name)
);

comment on table jobd.schedule is 'Rules that submit jobs at given times.';

create table jobd.submitter (
    role_oid oid primary key,
    role_name text not null unique,
    login_name text,
    login_oid oid unique,
    import_roots text[],
    export_roots text[],
    source_prefixes text[],
    granted_by text not null default session_user,
    created_at timestamptz not null default clock_timestamp()
);

comment on table jobd.submitter is 'Roles that may submit jobs, each with the login under which its imports run.';
