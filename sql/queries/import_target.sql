-- What an import must know about its target table, as the connected role sees it. All names come quoted by
-- PostgreSQL itself; search_path is pg_catalog while these run, so that every other name is qualified.

-- name: import_target_relation
-- The relation a name leads to; no row when there is none.
select
    c.oid, c.relkind::text as kind, n.nspname || '.' || c.relname as name,
    format('%I.%I', n.nspname, c.relname) as quoted_name,
    current_user::text as role_name,
    current_setting('server_version_num')::int as server_version,
    has_table_privilege(c.oid, 'select') as may_select,
    has_database_privilege(current_database(), 'temporary') as may_stage,
    row_security_active(c.oid) as has_row_security,
    trigrams.schema_name as trigram_schema, trigrams.may_use as may_use_trigrams,
    c.relhasrules as has_rules,
    n.nspname in ('jobd', 'pg_catalog', 'information_schema', 'pg_toast') as is_of_system,
    c.relpersistence = 't' as is_temporary,
    exists (
        select from pg_trigger t
        where t.tgrelid = any (tree.oids) and not t.tgisinternal and t.tgenabled in ('O', 'A')
            and (t.tgtype & 1) > 0 and (t.tgtype & 2) > 0 and (t.tgtype & 20) > 0
    ) as has_before_row_triggers,
    exists (
        select from pg_partitioned_table p where p.partrelid = any (tree.oids) and p.partdefid = 0
    ) as may_lack_partition,
    exists (select from pg_trigger t where t.tgrelid = any (tree.oids) and t.tgdeferrable)
    or exists (select from pg_constraint k where k.conrelid = any (tree.oids) and k.condeferrable) as is_deferrable
from to_regclass($1) as given (oid)
join pg_class c on c.oid = given.oid
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (
    select array_append(array(select p.relid::oid from pg_partition_tree(c.oid) p), c.oid)
) as tree (oids)
left join lateral (
    select quote_ident(en.nspname) as schema_name, has_schema_privilege(en.oid, 'usage') as may_use
    from pg_extension e join pg_namespace en on en.oid = e.extnamespace
    where e.extname = 'pg_trgm'
) as trigrams on true;

-- name: import_target_nearest
-- Tables whose names resemble one that does not exist.
select n.nspname || '.' || c.relname as name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'jobd')
    and n.nspname not like 'pg\_%' and has_schema_privilege(n.oid, 'usage')
order by 1
limit 2000;

-- name: import_target_columns
-- Columns in order. A type that can be indexed has an equality that is its own; where that is not pg_catalog's
-- it is named. Types without one (json, xml, geometry by area and the like) have none and are compared as text.
with recursive base as (
    select a.attnum, a.atttypid as typid, false as refuses_null, false as has_default
    from pg_attribute a
    where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
    union all
    select b.attnum, t.typbasetype, b.refuses_null or t.typnotnull, b.has_default or t.typdefault is not null
    from base b
    join pg_type t on t.oid = b.typid and t.typtype = 'd'
)
select
    a.attnum, a.attname::text as name, quote_ident(a.attname) as quoted_name,
    format_type(a.atttypid, a.atttypmod) as type_name,
    a.atttypid as type_oid, a.atttypmod as type_modifier,
    t.typcategory = 'S' as is_text,
    format_type(t.oid, null) as base_type, t.typtype = 'c' as is_composite,
    case when t.typcategory = 'A' and t.typelem <> 0 and t.oid not in ('int2vector'::regtype, 'oidvector'::regtype)
        then format_type(t.typelem, null)
    end as element_type,
    a.attnotnull as is_not_null,
    b.refuses_null,
    a.atthasdef or a.attidentity <> '' or b.has_default as has_default,
    a.attgenerated <> '' as is_generated,
    a.attidentity::text as identity,
    (a.attcollation <> 0 and a.attcollation <> t.typcollation) as has_collation,
    case when a.attcollation <> 0 then
        (select format('%I.%I', cn.nspname, co.collname) from pg_collation co
        join pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation)
    end as collation_name,
    own.operator is not null and a.atttypid = t.oid as is_equality_exact,
    coalesce(
        own.operator,
        case
            when t.typtype in ('e', 'r', 'm') or t.oid in ('varchar'::regtype, 'cidr'::regtype)
                or (t.typcategory = 'A' and exists (
                    select from pg_opclass ec
                    where ec.opcdefault and ec.opcmethod = 403
                        and ec.opcintype = case t.typelem when 'varchar'::regtype then 'text'::regtype else t.typelem end
                ))
            then 'OPERATOR(pg_catalog.=)'
        end
    ) as equality,
    has_column_privilege($1::oid, a.attnum, 'select') as may_select,
    has_column_privilege($1::oid, a.attnum, 'insert') as may_insert,
    has_column_privilege($1::oid, a.attnum, 'update') as may_update
from pg_attribute a
join base b on b.attnum = a.attnum
join pg_type t on t.oid = b.typid and t.typtype <> 'd'
left join lateral (
    select format('OPERATOR(%I.%s)', opn.nspname, op.oprname) as operator
    from pg_opclass oc
    join pg_amop am on am.amopfamily = oc.opcfamily and am.amoplefttype = oc.opcintype
        and am.amoprighttype = oc.opcintype and am.amopstrategy = case oc.opcmethod when 403 then 3 else 1 end
    join pg_operator op on op.oid = am.amopopr
    join pg_namespace opn on opn.oid = op.oprnamespace
    where oc.opcdefault and oc.opcmethod in (403, 405) and oc.opcintype = t.oid
    order by oc.opcmethod
    limit 1
) as own on true
where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
order by a.attnum;

-- name: import_target_indexes
-- What must stay unique. `is_plain`: a whole-table index over columns, checked at once, in the columns' own
-- collations, whose equality is known; only such a one can be a key.
select
    ic.relname::text as name, i.indisprimary as is_primary, i.indnullsnotdistinct as are_nulls_equal,
    i.indrelid = $1::oid and i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null
        and i.indexprs is null and parts.are_own as is_plain,
    -- Of an index over expressions, or over some rows, no column can be said to have no part in it.
    case when i.indpred is null and i.indexprs is null then parts.columns else '{}' end as columns,
    coalesce(parts.operators, '{}') as operators
from pg_index i
join pg_class ic on ic.oid = i.indexrelid
left join lateral (
    select
        array_agg(a.attname::text order by k.position) as columns,
        array_agg(
            case when op.oid is not null then format('OPERATOR(%I.%s)', opn.nspname, op.oprname) end
            order by k.position
        ) as operators,
        bool_and(k.collation_oid = a.attcollation and op.oid is not null) as are_own
    from unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[])
        with ordinality as k (attnum, opclass_oid, collation_oid, position)
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and a.attnum > 0
    left join pg_opclass oc on oc.oid = k.opclass_oid
    left join pg_amop am on am.amopfamily = oc.opcfamily and am.amoplefttype = oc.opcintype
        and am.amoprighttype = oc.opcintype and am.amopstrategy = 3 and oc.opcmethod = 403
    left join pg_operator op on op.oid = am.amopopr
    left join pg_namespace opn on opn.oid = op.oprnamespace
    where k.position <= i.indnkeyatts
) as parts on true
where (i.indisunique or i.indisexclusion)
    and (
        i.indrelid = $1::oid
        or (
            i.indrelid in (select p.relid from pg_partition_tree($1::oid) p)
            and not exists (select from pg_inherits h where h.inhrelid = i.indexrelid)
        )
    )
order by i.indisprimary desc, i.indexrelid;

-- name: import_target_foreign_keys
-- `is_checkable`: the role can look for the referenced rows itself, and finds what the constraint would find.
select
    k.conname::text as name, k.confmatchtype = 'f' as is_full, k.confrelid = k.conrelid as is_self,
    rn.nspname || '.' || r.relname as referenced_name,
    format('%I.%I', rn.nspname, r.relname) as referenced,
    k.convalidated and not row_security_active(r.oid) and parts.may_select
        and coalesce(to_jsonb(k) ->> 'conenforced', 'true')::boolean
        and not coalesce(to_jsonb(k) ->> 'conperiod', 'false')::boolean
        and has_schema_privilege(rn.oid, 'usage') as is_checkable,
    parts.columns, parts.referenced_columns, parts.operators
from pg_constraint k
join pg_class r on r.oid = k.confrelid
join pg_namespace rn on rn.oid = r.relnamespace
cross join lateral (
    select
        array_agg(a.attname::text order by u.position) as columns,
        array_agg(quote_ident(ra.attname) order by u.position) as referenced_columns,
        array_agg(format('OPERATOR(%I.%s)', opn.nspname, op.oprname) order by u.position) as operators,
        bool_and(has_column_privilege(r.oid, ra.attnum, 'select')) as may_select
    from unnest(k.conkey, k.confkey, k.conpfeqop) with ordinality as u (attnum, referenced_attnum, operator, position)
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
    join pg_attribute ra on ra.attrelid = k.confrelid and ra.attnum = u.referenced_attnum
    join pg_operator op on op.oid = u.operator
    join pg_namespace opn on opn.oid = op.oprnamespace
) as parts
where k.contype = 'f' and k.conrelid = $1::oid
order by k.conname;

-- name: import_target_checks
select
    k.conname::text as name, pg_get_expr(k.conbin, k.conrelid) as expression,
    k.convalidated and coalesce(to_jsonb(k) ->> 'conenforced', 'true')::boolean as is_checkable,
    array(
        select a.attname::text from unnest(k.conkey) as u (attnum)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
    ) as columns
from pg_constraint k
where k.contype = 'c' and k.conrelid = $1::oid and k.conkey is not null and 0 < all (k.conkey)
order by k.conname;

-- name: import_target_signature
-- Whether the name $1 leads to the relation $2 still and its columns $4, ascending, are unique (none: no key), and
-- the names and types of its columns $3. Everything is qualified, since code of other people's has run by then.
select
    to_regclass($1) = $2::pg_catalog.oid as is_same,
    cardinality($4::smallint[]) = 0 or exists (
        select from pg_catalog.pg_index i
        where i.indrelid = $2::pg_catalog.oid and i.indisunique and i.indimmediate and i.indisvalid
            and i.indpred is null and i.indexprs is null
            and $4::smallint[] operator(pg_catalog.=) array(
                select k.attnum from unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
                where k.position <= i.indnkeyatts
                order by k.attnum
            )
    ) as is_key_unique,
    string_agg(
        coalesce(
            pg_catalog.quote_ident(a.attname) || ' ' || a.atttypid::pg_catalog.text
            || ' ' || a.atttypmod::pg_catalog.text,
            'dropped'
        ),
        ', ' order by u.position
    ) as signature
from unnest($3::smallint[]) with ordinality as u (attnum, position)
left join pg_catalog.pg_attribute a on a.attrelid = $2::pg_catalog.oid and a.attnum = u.attnum and not a.attisdropped;

-- name: import_time
-- When the transaction began, as every column that can take a time takes it.
select now()::text;

-- name: import_input_error
-- Why a value is not one of a type; PostgreSQL 16 and later.
select message, sql_error_code as sqlstate from pg_input_error_info($1, $2);

-- name: import_time_zone
-- The server's name of a time zone, whatever the case; reads all its files, so it is asked only where one is stated.
select name from pg_timezone_names where lower(name) = lower($1::text);

-- name: import_time_zone_names
-- What may have been meant by an unknown name.
select name from pg_timezone_names where name not like 'posix/%' order by name;

-- name: import_set_time_zone
-- In which zone a time without one is, until the transaction ends.
select set_config('TimeZone', $1::text, true);
