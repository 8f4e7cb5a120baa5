-- Undo an import that tracked changes. The name and the signature are kept free; the work is not done yet, and a
-- function that did nothing would be believed.
create or replace function jobd.revert(job_id uuid)
returns bigint
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
#variable_conflict use_column
begin
    raise feature_not_supported using
        message = 'jobd.revert is not built yet',
        detail = format('Job %s was not touched.', revert.job_id),
        hint = 'Rows can be taken back by hand with the help of options.provenance, which marks what a job wrote.';
end
$$;

comment on function jobd.revert(uuid) is 'Reserved: undo an import that tracked changes. Raises 0A000 for now.';
