-- After a fenced update of many jobs: whether it found all of them under their leases, none to be cancelled.
create or replace function jobd.check_bundle(p_job_ids uuid[], p_found bigint, p_cancelled text)
returns void
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    if p_found <> cardinality(p_job_ids) then
        raise exception using
            errcode = 'JB001',
            message = format('of %s jobs, %s are under their leases and without a batch', cardinality(p_job_ids), p_found),
            hint = 'Nothing was written. Run them one by one, which tells what became of each.';
    end if;
    if p_cancelled is not null then
        raise exception using
            errcode = 'JB002',
            message = format('job %s is to be cancelled', p_cancelled),
            hint = 'Nothing was written. Run the jobs one by one.';
    end if;
end
$$;

comment on function jobd.check_bundle(uuid[], bigint, text) is 'Raises JB001 or JB002 after a fenced update of many jobs.';
