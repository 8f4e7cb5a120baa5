-- What a database says of its own schema.

-- name: schema_state
-- The schema's version, the least that a daemon must know to work with it, and which text was laid last. A schema that
-- does not say yet, or not any more, has no such column.
select
    coalesce(max(applied.version), 0) as version,
    max((to_jsonb(applied) ->> 'compatible_from')::int) as compatible_from,
    (select laid.sha256 from jobd.schema_text as laid) as sha256
from jobd.schema_version as applied;

-- name: schema_contract_steps
-- Migrations above a version that raised what daemons must know.
select applied.name
from jobd.schema_version as applied
where applied.version > $1::int
    and applied.compatible_from > (
        select max(earlier.compatible_from) from jobd.schema_version as earlier where earlier.version = applied.version - 1
    )
order by applied.version;
