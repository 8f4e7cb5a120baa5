-- Who sees which rows. A submitter sees and controls its own jobs; jobd's own roles see all of them. Views and
-- control functions run with the caller's rights, so these policies are the one place where this is decided.
--
-- "Own" goes by the role's oid, not its name: a role that is dropped and made again does not inherit jobs. It is
-- compared with an array that is made once per statement, so that an index can serve it; asking pg_has_role for
-- every row would read the whole table. A member of a submitter sees what that submitter sees, by
-- the policy on jobd.submitter, which the array is read through.
--
-- A policy is made again only when its text here has changed (its comment keeps the digest): making one locks out
-- every reader of the table, and migrate runs while daemons work.

do $policies$
declare
    c_own constant text := 'submitted_role_oid = any (array(select s.role_oid from jobd.submitter s))';
    v_policy record;
    v_digest text;
begin
    for v_policy in
        select v.relation, v.policy, v.role, v.command, v.is_visible, v.is_allowed
        from (values
            ('job', 'submitter_reads_own', 'jobd_submitter', 'select', c_own, null),
            -- The trigger has put submitted_role_oid there by then, whatever the statement said.
            ('job', 'submitter_submits_own', 'jobd_submitter', 'insert', null, c_own),
            ('job', 'submitter_controls_own', 'jobd_submitter', 'update', c_own, c_own),
            ('job', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true'),
            ('job_event', 'submitter_reads_own', 'jobd_submitter', 'select', c_own, null),
            ('job_event', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true'),
            ('job_error', 'submitter_reads_own', 'jobd_submitter', 'select', c_own, null),
            ('job_error', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true'),
            ('job_error_group', 'submitter_reads_own', 'jobd_submitter', 'select', c_own, null),
            ('job_error_group', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true'),
            ('job_reject', 'submitter_reads_own', 'jobd_submitter', 'select', c_own, null),
            ('job_reject', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true'),
            ('job_log', 'submitter_reads_own', 'jobd_submitter', 'select', c_own, null),
            ('job_log', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true'),
            ('job_file', 'submitter_reads_own', 'jobd_submitter', 'select', c_own, null),
            ('job_file', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true'),
            ('job_change', 'submitter_reads_own', 'jobd_submitter', 'select', c_own, null),
            ('job_change', 'submitter_reverts_own', 'jobd_submitter', 'update', c_own, c_own),
            ('job_change', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true'),
            -- Which content a submitter imported already is nobody else's to know.
            ('import_ledger', 'submitter_reads_own', 'jobd_submitter', 'select', c_own, null),
            ('import_ledger', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true'),
            -- Bytes to import, kept in the database: the submitter puts them there and may take them away again.
            ('blob', 'submitter_keeps_own', 'jobd_submitter', 'all', c_own, c_own),
            ('blob', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true'),
            -- USAGE: what the role has now, without SET ROLE.
            ('submitter', 'submitter_reads_own', 'jobd_submitter', 'select', 'pg_has_role(role_oid, ''USAGE'')', null),
            ('submitter', 'jobd_all', 'jobd_worker, jobd_admin', 'all', 'true', 'true')
        ) as v (relation, policy, role, command, is_visible, is_allowed)
    loop
        v_digest := md5(v_policy::text);
        continue when exists (
            select from pg_catalog.pg_policy p
            where p.polrelid = format('jobd.%I', v_policy.relation)::regclass
              and p.polname = v_policy.policy
              and pg_catalog.obj_description(p.oid, 'pg_policy') = v_digest
        );
        execute format('alter table jobd.%I enable row level security', v_policy.relation);
        if exists (
            select from pg_catalog.pg_policy p
            where p.polrelid = format('jobd.%I', v_policy.relation)::regclass and p.polname = v_policy.policy
        ) then
            execute format('drop policy %I on jobd.%I', v_policy.policy, v_policy.relation);
        end if;
        execute format(
            'create policy %I on jobd.%I for %s to %s', v_policy.policy, v_policy.relation, v_policy.command, v_policy.role
        ) || coalesce(' using (' || v_policy.is_visible || ')', '')
          || coalesce(' with check (' || v_policy.is_allowed || ')', '');
        execute format('comment on policy %I on jobd.%I is %L', v_policy.policy, v_policy.relation, v_digest);
    end loop;
end
$policies$;
