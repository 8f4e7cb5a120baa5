-- Lost: which environment the database belongs to. Daemons of the release before start in any copy; name it again with
-- the next migrate.

drop function if exists jobd.environment_obstacle(text);
drop function if exists jobd.record_environment(text, boolean);
drop function if exists jobd.database_identity();
drop table jobd.environment;
