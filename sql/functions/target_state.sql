-- A digest of all that an import looks up about its target before the first row, as a role sees it: as long as it is
-- the same, so is what was looked up. Null where there is no such table, or where more than the catalogs' rows about
-- this one table would have to be watched: partitions and inheritance, domains over domains.
--
-- Rows of the catalogs are told apart by xmin; the role's rights are asked for themselves, as they come from many
-- places. In plpgsql for its cached plans.
create or replace function jobd.target_state(p_target text, p_role_oid oid)
returns text
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    -- Not by to_regclass, for which the caller would need to have rights in the schema.
    v_names constant text[] := parse_ident(p_target);
    v_schema constant text := case when cardinality(v_names) = 1 then 'public' else v_names[1] end;
begin
    return (
        select md5(concat_ws(
            '/', c.oid, c.xmin, n.xmin, d.xmin, r.rolsuper, r.rolbypassrls, pg_has_role(r.oid, c.relowner, 'usage'),
            has_schema_privilege(r.oid, n.oid, 'usage'), has_database_privilege(r.oid, d.oid, 'temporary'),
            has_table_privilege(r.oid, c.oid, 'select'),
            (
                select string_agg(
                    concat_ws(
                        ' ', a.attnum, a.xmin, t.xmin,
                        has_column_privilege(r.oid, c.oid, a.attnum, 'select'),
                        has_column_privilege(r.oid, c.oid, a.attnum, 'insert'),
                        has_column_privilege(r.oid, c.oid, a.attnum, 'update'),
                        case when t.typtype = 'd' then (
                            select concat_ws(' ', min(b.xmin::text), string_agg(concat_ws(' ', k.oid, k.xmin), ',' order by k.oid))
                            from pg_type b
                            left join pg_constraint k on k.contypid = t.oid
                            where b.oid = t.typbasetype
                        ) end
                    ),
                    ',' order by a.attnum
                )
                from pg_attribute a
                left join pg_type t on t.oid = a.atttypid
                where a.attrelid = c.oid and a.attnum > 0
            ),
            (
                select string_agg(concat_ws(' ', i.indexrelid, i.xmin, x.xmin), ',' order by i.indexrelid)
                from pg_index i
                join pg_class x on x.oid = i.indexrelid
                where i.indrelid = c.oid
            ),
            (
                select string_agg(
                    concat_ws(
                        ' ', k.oid, k.xmin, f.xmin, has_schema_privilege(r.oid, f.relnamespace, 'usage'),
                        (
                            select string_agg(
                                concat_ws(' ', a.xmin, has_column_privilege(r.oid, f.oid, a.attnum, 'select')),
                                ',' order by a.attnum
                            )
                            from pg_attribute a
                            where a.attrelid = f.oid and a.attnum = any (k.confkey)
                        )
                    ),
                    ',' order by k.oid
                )
                from pg_constraint k
                left join pg_class f on f.oid = k.confrelid
                where k.conrelid = c.oid
            ),
            (select string_agg(concat_ws(' ', t.oid, t.xmin), ',' order by t.oid) from pg_trigger t where t.tgrelid = c.oid),
            (select string_agg(concat_ws(' ', p.oid, p.xmin), ',' order by p.oid) from pg_policy p where p.polrelid = c.oid),
            (select string_agg(concat_ws(' ', w.oid, w.xmin), ',' order by w.oid) from pg_rewrite w where w.ev_class = c.oid)
        ))
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_database d on d.datname = current_database()
        join pg_roles r on r.oid = p_role_oid
        where n.nspname = v_schema and c.relname = v_names[cardinality(v_names)] and cardinality(v_names) <= 2
            and c.relkind = 'r' and not c.relispartition and not c.relhassubclass
            and not exists (select from pg_inherits h where h.inhrelid = c.oid)
            and not exists (
                select from pg_attribute a
                join pg_type t on t.oid = a.atttypid
                join pg_type b on b.oid = t.typbasetype
                where a.attrelid = c.oid and a.attnum > 0 and b.typtype = 'd'
            )
    );
end
$$;

comment on function jobd.target_state(text, oid) is
    'A digest of what an import looks up about its target; equal as long as that is.';
