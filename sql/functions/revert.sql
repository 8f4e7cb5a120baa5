-- Undo an import that tracked changes: a row that it added is deleted, one that it updated gets back what it had, the
-- newest change first, and each only where the row still has what the import left. What cannot be undone stays, with
-- the reason in jobd.job_change.revert_problem; a further call tries only what is left.
--
-- With the caller's rights: grants, row-level security and triggers of the target are the caller's own matter. Takes
-- the locks of all rows concerned first, in the order of their keys as imports do; bounded by the changes of a job, a
-- million. Rows are undone in slices; where one of them is refused, the slice is undone row by row.
create or replace function jobd.revert(job_id uuid)
returns bigint  -- rows that it could not undo
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
declare
    c_slice constant int := 500;
    v_job constant jobd.job := jobd.lock_job(revert.job_id, null);
    v_relation constant oid := jobd.revert_target(v_job);
    v_key constant text[] := array(select jsonb_array_elements_text(v_job.detected #> '{target,key}'));
    v_has_policies constant boolean := coalesce(row_security_active(v_relation), false);
    v_restored text[];
    v_left text[];
    v_statements record;
    v_below bigint := 9223372036854775807;  -- what is from here on has been tried
    v_alone_to bigint;  -- row by row down to this change
    v_ids bigint[];
    v_done bigint[];
    v_change record;
    v_is_same boolean;
    v_touched bigint;
begin
    if not exists (select from jobd.job_change c where c.job_id = revert.job_id and c.reverted_at is null) then
        return 0;
    end if;
    v_restored := array(
        select distinct k from jobd.job_change c, jsonb_object_keys(c.before) k
        where c.job_id = revert.job_id and c.reverted_at is null
    );
    v_left := array(
        select distinct k from jobd.job_change c, jsonb_object_keys(c.after) k
        where c.job_id = revert.job_id and c.reverted_at is null
    );
    select * into v_statements from jobd.revert_statements(v_relation, v_key, v_restored, v_left);

    -- What triggers of the target find without a schema, they find as in an import. Until the function returns.
    perform set_config('search_path', '"$user", public', true);
    set constraints all immediate;  -- a foreign key that waits for the end would take everything down with it
    if has_any_column_privilege(v_relation, 'update') then
        execute v_statements.lock_rows using revert.job_id;
    end if;

    loop
        select array_agg(s.id order by s.id desc) into v_ids
        from (
            select c.id from jobd.job_change c
            where c.job_id = revert.job_id and c.reverted_at is null and c.id < v_below
            order by c.id desc
            limit case when v_alone_to is null then c_slice else 1 end
        ) s;
        exit when v_ids is null;
        v_done := '{}';
        begin
            for v_change in
                select c.id, c.key, c.change, c.before, c.after from jobd.job_change c
                where c.job_id = revert.job_id and c.id = any (v_ids)
                order by c.id desc
            loop
                if v_change.change = 'added' then
                    execute v_statements.remove using v_change.key, v_change.before, v_change.after;
                    get diagnostics v_touched = row_count;
                elsif v_change.before = '{}' then
                    v_touched := 1;  -- an update that changed nothing
                else
                    execute v_statements.restore using v_change.key, v_change.before, v_change.after;
                    get diagnostics v_touched = row_count;
                end if;
                if v_touched > 0 then
                    v_done := v_done || v_change.id;
                else
                    execute v_statements.look into v_is_same using v_change.key, v_change.before, v_change.after;
                    update jobd.job_change c
                    set revert_problem = case
                        when v_is_same is null then 'gone'
                        when v_is_same then 'left alone by a trigger or a policy'
                        else 'changed since'
                    end
                    where c.job_id = revert.job_id and c.id = v_change.id;
                end if;
            end loop;
            update jobd.job_change c set reverted_at = clock_timestamp(), revert_problem = null
            where c.job_id = revert.job_id and c.id = any (v_done);
        exception when others then
            -- Not the row's fault: everything is undone, and may be tried again.
            if left(sqlstate, 2) in ('08', '25', '26', '28', '3D', '3F', '40', '42', '53', '55', '57', '58', 'XX')
                and not (sqlstate = '42501' and v_has_policies)
            then
                raise;
            end if;
            if cardinality(v_ids) > 1 then
                v_alone_to := v_ids[cardinality(v_ids)];
                continue;
            end if;
            update jobd.job_change c set revert_problem = left('refused: ' || sqlerrm, 500)
            where c.job_id = revert.job_id and c.id = v_ids[1];
        end;
        v_below := v_ids[cardinality(v_ids)];
        if v_below <= v_alone_to then
            v_alone_to := null;
        end if;
    end loop;

    return (select count(*) from jobd.job_change c where c.job_id = revert.job_id and c.reverted_at is null);
end
$$;

comment on function jobd.revert(uuid) is
    'Undoes an import that tracked changes, where nobody changed the rows since; gives how many rows it could not.';
