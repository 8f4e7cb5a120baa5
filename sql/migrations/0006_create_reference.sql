-- Expand.
-- Rules that are data: which status may follow which, and which options are known (filled by sql/data).
-- Old daemons: there are none.

create table jobd.transition (
    old_status text not null,
    new_status text not null,
    cause text not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (old_status, new_status)
);

comment on table jobd.transition is 'The transitions of a job; everything that is not here is refused.';

create table jobd.option (
    name text primary key,
    is_built boolean not null,
    meaning text not null,
    created_at timestamptz not null default clock_timestamp()
);

comment on table jobd.option is 'The keys that options may have; one that is not built yet fails the job by its name.';
