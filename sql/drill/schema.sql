-- What `jobd drill` lays beside jobd's schema, in one of its own, and takes away again.

-- name: drill_lay
-- The tables that are imported into, and what they must hold in the end.
create schema jobd_drill;

comment on schema jobd_drill is 'Laid by `jobd drill`, which removes it; drop schema jobd_drill cascade does, too.';

create table jobd_drill.reading (
    id bigint primary key,
    amount numeric(8, 2) not null check (amount >= 0),
    taken_at timestamptz not null,
    note varchar(40)
);
-- Without a key or any other rule: what is brought in twice is there twice.
create table jobd_drill.entry (file text, number bigint, note text);
-- Of each key several jobs bring a row, in opposite order.
create table jobd_drill.stock (sku bigint primary key, file text not null, number bigint not null);
create table jobd_drill.small (id bigint primary key, note text);

create table jobd_drill.expected_reading (like jobd_drill.reading);
create table jobd_drill.expected_entry (like jobd_drill.entry);
create table jobd_drill.expected_stock (like jobd_drill.stock);
create table jobd_drill.expected_small (like jobd_drill.small);
alter table jobd_drill.expected_reading alter amount drop not null, alter taken_at drop not null;

-- name: drill_lay_trail
-- The trail: each change of a job's status, token or processed rows, in the order in which they were committed, as
-- a job's row is locked until then.
create table jobd_drill.trail (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    transaction xid8 not null default pg_current_xact_id(),
    job_id uuid not null,
    old_status text,
    new_status text not null,
    old_token bigint not null,
    new_token bigint not null,
    old_rows bigint not null,
    new_rows bigint not null,
    version int not null,
    worker_id uuid
);

create function jobd_drill.write_trail()
returns trigger
language plpgsql
security definer  -- batches are committed by whoever runs them
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into jobd_drill.trail (
        job_id, old_status, new_status, old_token, new_token, old_rows, new_rows, version, worker_id
    )
    values (
        new.id, case when tg_op = 'UPDATE' then old.status end, new.status,
        case when tg_op = 'UPDATE' then old.lease_token else 0 end, new.lease_token,
        case when tg_op = 'UPDATE' then old.processed_rows else 0 end, new.processed_rows,
        new.version, new.worker_id
    );
    return null;
end
$$;

create trigger jobd_drill_inserted
after insert on jobd.job
for each row
execute function jobd_drill.write_trail();

create trigger jobd_drill_updated
after update on jobd.job
for each row
when (
    old.status <> new.status or old.lease_token <> new.lease_token or old.processed_rows <> new.processed_rows
)
execute function jobd_drill.write_trail();

-- name: drill_clear
-- Remove all that a drill laid, and its jobs.
drop schema if exists jobd_drill cascade;

with drilled as (
    select j.id from jobd.job j where j.created_by = 'jobd drill'
),
errors as (delete from jobd.job_error where job_id in (select id from drilled)),
groups as (delete from jobd.job_error_group where job_id in (select id from drilled)),
rejects as (delete from jobd.job_reject where job_id in (select id from drilled)),
logs as (delete from jobd.job_log where job_id in (select id from drilled)),
files as (delete from jobd.job_file where job_id in (select id from drilled)),
events as (delete from jobd.job_event where job_id in (select id from drilled)),
ledger as (delete from jobd.import_ledger where job_id in (select id from drilled))
delete from jobd.job where id in (select id from drilled);
