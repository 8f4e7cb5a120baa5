-- Expand.
-- Refused records by their columns, so that they can be mended without knowing how their file was written. Old daemons
-- may keep running: the column is added, and the functions get parameters with defaults.

alter table jobd.job_reject add column fields json;

-- These get further parameters; the old ones would be ambiguous beside them.
drop function if exists jobd.record_rejects(uuid, oid, bigint, bigint[], text[], bytea[]);
drop function if exists jobd.commit_batch(
    uuid, bigint, bigint, bigint, bigint, bigint, bigint, jsonb, float8, bigint, text, bigint[], bigint[], text[],
    text[], text[], text[], text[], text[], text[], text[], bigint[], text[], bytea[], jsonb
);
