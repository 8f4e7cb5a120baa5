-- Expand.
-- How long jobs of a queue may wait, as data: what is measured and what wakes somebody is held against it. Old daemons
-- may keep running: the column has a default, and they read the sample by the names of its columns.

alter table jobd.queue add column wait_objective_seconds float8 not null default 60
    constraint queue_wait_objective_is_positive check (
        wait_objective_seconds > 0 and wait_objective_seconds < 'infinity'
    );

-- Gives further columns, which cannot be added to a function in place.
drop function if exists jobd.sample_queues();
