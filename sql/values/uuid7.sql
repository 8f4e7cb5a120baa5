-- A time-ordered UUID (version 7) on every supported server: the server's own where it has one (18 and later).
--
-- The other one counts quarter microseconds in the twelve bits after the version, as the server's does, so that ids
-- made one after the other in a session sort in the order they were made. Both bodies are bound when the function
-- is made, so no search_path can change what they call.
do $do$
begin
    if pg_catalog.to_regprocedure('pg_catalog.uuidv7()') is not null then
        execute $sql$
            create or replace function jobd.uuid7() returns uuid
            language sql volatile parallel safe
            return pg_catalog.uuidv7()
        $sql$;
    else
        execute $sql$
            create or replace function jobd.uuid7() returns uuid
            language sql volatile parallel safe
            begin atomic
                select (
                    lpad(to_hex(t.microseconds / 1000), 12, '0')
                    || '7' || lpad(to_hex(t.microseconds % 1000 * 4096 / 1000), 3, '0')
                    -- The second half of a random UUID: its first digit carries the variant.
                    || substr(replace(gen_random_uuid()::text, '-', ''), 17)
                )::uuid
                from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as microseconds) as t;
            end
        $sql$;
    end if;
end
$do$;

comment on function jobd.uuid7() is 'A time-ordered UUID, version 7: the default of jobd.job.id.';
