-- Which environment the database belongs to.

-- name: environment_is_kept
-- Whether the schema keeps it; that of the release before does not.
select to_regprocedure('jobd.environment_obstacle(text)') is not null;

-- name: environment_obstacle
-- Why a daemon of this environment must not work here.
select jobd.environment_obstacle($1::text);

-- name: environment_recorded
-- What is recorded.
select name, recorded_by, created_at from jobd.environment;

-- name: environment_record
-- Record it where nothing is recorded, or anew.
select jobd.record_environment($1::text, $2::boolean);
