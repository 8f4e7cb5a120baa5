-- Expand.
-- Jobs of many files, and content that was imported before. Old daemons may keep running: columns are added, and
-- functions get parameters with defaults.

alter table jobd.job_file
    add column error_message text,
    -- How the file is read, for the one that a job has read in part.
    add column detected jsonb,
    add constraint job_file_status_is_known
        check (status in ('pending', 'running', 'completed', 'failed', 'unchanged'));

-- Only content of the same size can be the same: most jobs need not be read twice to know that they are new.
alter table jobd.import_ledger add column size_bytes bigint;
create index import_ledger_size on jobd.import_ledger (submitted_role_oid, target, size_bytes);

-- changed_only: the last import of the same source. By a digest, as a source may be longer than an index entry.
create index job_source on jobd.job (md5(source), completed_at)
    where status = 'completed' and job_type = 'import' and source is not null;

-- Slices are read without unpacking what lies before them; what is uploaded is often packed already.
alter table jobd.blob alter column data set storage external;

-- These get further parameters; the old ones would be ambiguous beside them.
drop function if exists jobd.begin(uuid, bigint, jsonb, bigint, bigint, text, int, text);
drop function if exists jobd.commit_batch(
    uuid, bigint, bigint, bigint, bigint, bigint, bigint, jsonb, float8, bigint, text, bigint[], bigint[], text[],
    text[], text[], text[], text[], text[], text[], text[], bigint[], text[], bytea[]
);
