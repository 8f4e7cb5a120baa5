-- Expand.
-- The job row, which is the interface of applications. Old daemons: there are none.
--
-- fillfactor: progress is written at every batch; with room on the page such an update is HOT and touches no index.
-- So no index contains, and no index predicate names, what progress writes (updated_at, version, cursor, progress,
-- counters, current_file, total_rows) nor a flag.

create table jobd.job (
    -- What an application may set.
    id uuid primary key default jobd.uuid7(),
    job_type text not null default 'import'
        constraint job_type_is_known check (job_type in ('import', 'export', 'validation', 'processing')),
    queue text not null default 'default'
        constraint job_queue_is_well_formed check (queue ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$'),
    priority text not null default 'normal'
        constraint job_priority_is_known check (priority in ('low', 'normal', 'high')),
    serial_key text,
    run_at timestamptz not null default now(),
    source text,
    source_type text
        constraint job_source_type_is_known check (source_type in ('csv', 'json', 'jsonl', 'text', 'xlsx')),
    filename text,
    file_hash text
        constraint job_file_hash_is_sha256 check (file_hash ~ '^[0-9a-f]{64}$'),
    target text,
    handler text,
    options jsonb not null default '{}'
        constraint job_options_is_object check (jsonb_typeof(options) = 'object'),
    metadata jsonb not null default '{}'
        constraint job_metadata_is_object check (jsonb_typeof(metadata) = 'object'),
    created_by text,
    tenant text,
    related_dataset_id uuid,
    idempotency_key text,
    estimated_rows bigint
        constraint job_estimated_rows_is_count check (estimated_rows >= 0),
    max_retries int not null default 3
        constraint job_max_retries_is_count check (max_retries >= 0),
    batch_id uuid,
    after uuid[],

    -- Requests: set by whoever may control the job.
    cancel_requested boolean not null default false,
    pause_requested boolean not null default false,

    -- What jobd keeps.
    status text not null default 'pending'
        constraint job_status_is_known
        check (status in ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled')),
    version int not null default 1,
    retry_count int not null default 0,
    interrupt_count int not null default 0,
    lost_lease_count int not null default 0,
    duplicate_of uuid,
    parent_id uuid,
    total_rows bigint,
    processed_rows bigint not null default 0,
    success_count bigint not null default 0,
    error_count bigint not null default 0,
    items_added bigint not null default 0,
    items_updated bigint not null default 0,
    items_unchanged bigint not null default 0,
    items_skipped bigint not null default 0,
    items_removed bigint not null default 0,
    errors_not_stored bigint not null default 0,
    progress double precision not null default 0
        constraint job_progress_is_percentage check (progress between 0 and 100),
    files_total int,
    files_done int not null default 0,
    current_file text,
    cursor jsonb,
    result jsonb,
    error_code text,
    error_message text,
    waiting_reason text,
    worker_id uuid,
    lease_token bigint not null default 0,
    cancellation_reason text,
    submitted_role text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    cancelled_at timestamptz,
    paused_at timestamptz,
    -- Set by jobd.erase through a trigger of its own (triggers/job_erase.sql), never taken back.
    erased_at timestamptz,

    -- Internal.
    submitted_role_oid oid not null,
    claimed_at timestamptz,
    ran_seconds double precision not null default 0,
    detected jsonb,
    is_held boolean not null default false,
    gate_checked_at timestamptz,
    retry_requested boolean not null default false,
    changed_by text,
    change_reason text,

    constraint job_counters_add_up check (
        processed_rows = success_count + error_count
        and success_count = items_added + items_updated + items_unchanged + items_skipped
    ),
    constraint job_counters_are_counts check (
        error_count >= 0 and items_added >= 0 and items_updated >= 0 and items_unchanged >= 0
        and items_skipped >= 0 and items_removed >= 0 and errors_not_stored >= 0
    ),
    constraint job_progress_is_100_when_completed check ((progress = 100) = (status = 'completed')),
    constraint job_created_before_updated check (created_at <= updated_at),
    constraint job_ended_has_completed_at check (
        (status in ('completed', 'failed', 'cancelled')) = (completed_at is not null)
    ),
    constraint job_cancelled_has_cancelled_at check ((status = 'cancelled') = (cancelled_at is not null)),
    constraint job_paused_has_paused_at check (status <> 'paused' or paused_at is not null),
    constraint job_running_has_lease check (
        (status = 'running') = (worker_id is not null) and (status <> 'running' or lease_token > 0)
    ),
    constraint job_held_is_pending check (not is_held or status in ('pending', 'paused')),
    constraint job_retry_request_is_honoured check (not retry_requested)
)
with (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 1
);

comment on table jobd.job is 'One request to import, export, validate or process, with its whole history.';
