-- The statements by which jobd.revert undoes the changes of a job, for its target and the columns that it changed.
-- Each takes a key as $1, what was before as $2 and what was left as $3, as jobd.job_change has them; `lock_rows` takes
-- the job's id. Names are quoted, types and operators named with their schemas, so that they mean the same under
-- whatever search_path they run.
--
-- A row is as it was left when the columns concerned have the same text: not every type has an equality.
create or replace function jobd.revert_statements(
    p_relation oid, p_key text[], p_restored text[], p_left text[],
    out lock_rows text, out remove text, out restore text, out look text
)
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_target constant text := (
        select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.oid = p_relation
    );
    v_index oid;
    v_gone text;
    v_match text;
    v_keys text;
    v_join text;
    v_names text;
    v_same text;
    v_sets text;
begin
    select string_agg(u.name, ', ') into v_gone
    from unnest(p_key || p_left) as u (name)
    where not exists (
        select from pg_attribute a
        where a.attrelid = p_relation and a.attname = u.name and a.attnum > 0 and not a.attisdropped
    );
    if v_gone is not null then
        raise undefined_object using
            message = format('%s has no column %s any more, which the job filled', v_target, v_gone),
            hint = 'Nothing was undone.';
    end if;

    select i.indexrelid into v_index
    from pg_index i
    where i.indrelid = p_relation and i.indisunique and i.indimmediate and i.indisvalid
        and i.indpred is null and i.indexprs is null
        and array(
            select a.attname::text from unnest(i.indkey::int2[]) with ordinality as k (attnum, place)
            join pg_attribute a on a.attrelid = p_relation and a.attnum = k.attnum
            where k.place <= i.indnkeyatts order by 1
        ) = array(select unnest(p_key) order by 1)
    limit 1;
    if not found then
        raise undefined_object using
            message = format('%s has lost its unique index on the key (%s)', v_target, array_to_string(p_key, ', ')),
            hint = 'Nothing was undone. Create the index again, then undo the job.';
    end if;

    with part as (
        select
            k.place, a.attname, format(' ->> %L)::%s', a.attname, format_type(a.atttypid, a.atttypmod)) as value,
            format('operator(%I.%s)', opn.nspname, op.oprname) as equality
        from pg_index i
        cross join lateral unnest(i.indkey::int2[], i.indclass::oid[]) with ordinality as k (attnum, opclass_oid, place)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
        join pg_opclass oc on oc.oid = k.opclass_oid
        join pg_amop am on am.amopfamily = oc.opcfamily and am.amoplefttype = oc.opcintype
            and am.amoprighttype = oc.opcintype and am.amopstrategy = 3
        join pg_operator op on op.oid = am.amopopr
        join pg_namespace opn on opn.oid = op.oprnamespace
        where i.indexrelid = v_index and k.place <= i.indnkeyatts
    )
    select
        string_agg(format('t.%I %s ($1%s', p.attname, p.equality, p.value), ' and ' order by p.place),
        string_agg(format('(c.key%s as k%s', p.value, p.place), ', ' order by p.place),
        string_agg(format('t.%I %s k.k%s', p.attname, p.equality, p.place), ' and ' order by p.place),
        string_agg(format('t.%I', p.attname), ', ' order by p.place)
    into v_match, v_keys, v_join, v_names
    from part p;

    select
        string_agg(
            format(
                '(not jsonb_exists($3, %1$L) or t.%1$I::text collate "C" is not distinct from '
                '(($3 ->> %1$L)::%2$s)::text collate "C")', a.attname, format_type(a.atttypid, a.atttypmod)
            ), ' and '
        ),
        string_agg(
            format(
                '%1$I = case when jsonb_exists($2, %1$L) then ($2 ->> %1$L)::%2$s else t.%1$I end',
                a.attname, format_type(a.atttypid, a.atttypmod)
            ), ', '
        ) filter (where a.attname = any (p_restored))
    into v_same, v_sets
    from pg_attribute a
    where a.attrelid = p_relation and a.attname = any (p_left) and a.attnum > 0 and not a.attisdropped;

    v_same := coalesce(v_same, 'true');
    lock_rows := format(
        'select count(*) from (select from %s t join (select distinct %s from jobd.job_change c '
        'where c.job_id = $1 and c.reverted_at is null) k on %s order by %s for update of t) locked',
        v_target, v_keys, v_join, v_names
    );
    remove := format('delete from %s t where %s and %s', v_target, v_match, v_same);
    restore := format('update %s t set %s where %s and %s', v_target, v_sets, v_match, v_same);
    look := format('select %s from %s t where %s', v_same, v_target, v_match);
end
$$;

comment on function jobd.revert_statements is 'Part of jobd.revert: the statements for one target.';
