-- Expand.
-- A job completes only where all rows that its worker committed are there. Old daemons may keep running: the function
-- gets a parameter with a default.

-- The old one would be ambiguous beside it.
drop function if exists jobd.finish(uuid[], bigint[], text[], text[], text[], jsonb[], float8[]);
