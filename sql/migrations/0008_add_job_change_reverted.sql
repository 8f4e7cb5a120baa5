-- Expand.
-- What became of undoing a change. Old daemons may keep running: they write no changes.

alter table jobd.job_change
    add column reverted_at timestamptz,
    add column revert_problem text;

comment on column jobd.job_change.reverted_at is 'When the change was undone.';
comment on column jobd.job_change.revert_problem is 'Why it could not be undone.';
