-- Expand.
-- Which daemons may work with the schema, so that a rollback finds daemons of the release before at work on this one,
-- and which schema each worker knows, so that a contract step waits for the last of them that needs what it removes.

-- The least version that a daemon must know: it stays as it was at an expand step and rises at a contract step.
alter table jobd.schema_version add column compatible_from int not null default 11;
alter table jobd.schema_version alter column compatible_from drop default;

alter table jobd.worker add column schema_version int;

-- Gets a further parameter; the old one would be ambiguous beside it.
drop function if exists jobd.register_worker(uuid, text, text, int, text, text[], int, float8, float8);
