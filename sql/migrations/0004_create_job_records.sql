-- Expand.
-- What is written about a job, beside its row. Old daemons: there are none.
--
-- No foreign keys: one from job_event costs a quarter of the insert rate of jobs, one from job_error triples the
-- time of 20,000 errors. prune and erase delete these rows first, and a test looks for orphans.
-- Each row carries its job's submitter, so that a policy needs no look at jobd.job.

create table jobd.job_event (
    job_id uuid not null,
    id bigint generated always as identity,
    event_type text not null,
    old_status text,
    new_status text not null,
    version int not null,
    actor text,
    reason text,
    data jsonb,
    submitted_role_oid oid not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (job_id, id)
);

comment on table jobd.job_event is 'What happened to a job, and who did it: one row per transition and request.';

create table jobd.job_error (
    job_id uuid not null,
    id bigint generated always as identity,
    row_number bigint,
    line_number bigint,
    file text,
    field text,
    error_type text not null
        constraint job_error_type_is_known check (error_type in ('parse', 'validation', 'duplicate', 'system')),
    code text not null,
    message text not null,
    sqlstate text,
    constraint_name text,
    raw_data text
        constraint job_error_raw_data_is_short check (length(raw_data) <= 500),
    submitted_role_oid oid not null,
    created_at timestamptz not null default now(),
    primary key (job_id, id)
);

comment on table jobd.job_error is 'Why a record could not be taken; a record may have several such rows.';

create table jobd.job_reject (
    job_id uuid not null,
    file text not null,
    row_number bigint not null,
    record bytea not null,
    submitted_role_oid oid not null,
    created_at timestamptz not null default now(),
    primary key (job_id, file, row_number)
);

comment on table jobd.job_reject is 'The refused records themselves, so that they can be mended and imported again.';

create table jobd.job_error_group (
    id bigint generated always as identity primary key,
    job_id uuid not null,
    file text,
    field text,
    code text not null,
    count bigint not null,
    first_row bigint,
    submitted_role_oid oid not null,
    created_at timestamptz not null default now(),
    constraint job_error_group_of_job unique nulls not distinct (job_id, file, field, code)
)
with (fillfactor = 80);

comment on table jobd.job_error_group is 'Exact numbers of errors by file, field and code, however many are stored.';

create table jobd.job_log (
    job_id uuid not null,
    id bigint generated always as identity,
    level text not null
        constraint job_log_level_is_known check (level in ('debug', 'info', 'warning', 'error')),
    event text not null,
    data jsonb,
    submitted_role_oid oid not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (job_id, id)
);

comment on table jobd.job_log is 'What the daemon has to say about a job; bounded per job, no row data.';

create table jobd.job_file (
    job_id uuid not null,
    position int not null,
    file text not null,
    size_bytes bigint,
    modified_at timestamptz,
    file_hash text,
    status text not null default 'pending',
    processed_rows bigint not null default 0,
    success_count bigint not null default 0,
    error_count bigint not null default 0,
    items_added bigint not null default 0,
    items_updated bigint not null default 0,
    items_unchanged bigint not null default 0,
    items_skipped bigint not null default 0,
    error_code text,
    submitted_role_oid oid not null,
    created_at timestamptz not null default now(),
    primary key (job_id, position)
)
with (fillfactor = 80);

comment on table jobd.job_file is 'The concrete files of a job, frozen at its first start.';

create table jobd.job_change (
    job_id uuid not null,
    id bigint generated always as identity,
    key jsonb not null,
    change text not null
        constraint job_change_is_known check (change in ('added', 'updated', 'removed')),
    before jsonb,
    after jsonb,
    submitted_role_oid oid not null,
    created_at timestamptz not null default now(),
    primary key (job_id, id)
);

comment on table jobd.job_change is 'Rows that a job with track_changes added, updated or removed.';

create table jobd.blob (
    id uuid primary key default jobd.uuid7(),
    data bytea not null,
    filename text,
    size_bytes bigint generated always as (octet_length(data)) stored,
    created_by text,
    submitted_role text not null,
    submitted_role_oid oid not null,
    created_at timestamptz not null default now()
);

comment on table jobd.blob is 'Bytes to import, kept in the database: the source blob:<id>.';

create table jobd.import_ledger (
    id bigint generated always as identity primary key,
    submitted_role text not null,
    submitted_role_oid oid not null,
    target text not null,
    settings jsonb not null,
    file_hash text not null,
    filename text,
    job_id uuid not null,
    processed_rows bigint not null,
    created_at timestamptz not null default now()
);

comment on table jobd.import_ledger is 'Content that was imported without a refused row; outlives pruning.';

-- Was this content imported before?
create index import_ledger_content on jobd.import_ledger (file_hash, submitted_role_oid, target);
