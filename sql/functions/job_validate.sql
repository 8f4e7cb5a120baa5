-- BEFORE INSERT or UPDATE, only where a value is not well-formed or options are given (the trigger's WHEN decides).
-- The table's checks refuse the same; but their message shows the whole row and not what to do.
create or replace function jobd.job_validate()
returns trigger
language plpgsql
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_unknown text;
    v_nearest text;
begin
    if new.job_type not in ('import', 'export', 'validation', 'processing') then
        perform jobd.refuse_value('job_type', 'job_type_is_known', new.job_type,
            'one of import, export, validation, processing');
    elsif new.source_type not in ('csv', 'json', 'jsonl', 'text', 'xlsx') then
        perform jobd.refuse_value('source_type', 'job_source_type_is_known', new.source_type,
            'one of csv, json, jsonl, text, xlsx, or null: found out from the content');
    elsif new.priority not in ('low', 'normal', 'high') then
        perform jobd.refuse_value('priority', 'job_priority_is_known', new.priority, 'one of low, normal, high');
    elsif new.queue !~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$' then
        perform jobd.refuse_value('queue', 'job_queue_is_well_formed', new.queue,
            'up to 63 letters, digits, "_", ".", ":" or "-", the first a letter or digit');
    elsif new.file_hash !~ '^[0-9a-f]{64}$' then
        perform jobd.refuse_value('file_hash', 'job_file_hash_is_sha256', new.file_hash,
            'a SHA-256 of 64 lower-case hexadecimal digits');
    elsif new.max_retries < 0 then
        perform jobd.refuse_value('max_retries', 'job_max_retries_is_count', new.max_retries::text, '0 or more');
    elsif new.estimated_rows < 0 then
        perform jobd.refuse_value('estimated_rows', 'job_estimated_rows_is_count', new.estimated_rows::text, '0 or more');
    elsif jsonb_typeof(new.options) <> 'object' then
        perform jobd.refuse_value('options', 'job_options_is_object', new.options::text, 'a JSON object');
    elsif jsonb_typeof(new.metadata) <> 'object' then
        perform jobd.refuse_value('metadata', 'job_metadata_is_object', new.metadata::text, 'a JSON object');
    end if;

    if tg_op = 'INSERT' and new.options <> '{}' then
        select k into v_unknown
        from jsonb_object_keys(new.options) k
        where not exists (select from jobd.option o where o.name = k)
        limit 1;
        if v_unknown is not null then
            v_nearest := jobd.nearest(v_unknown, array(select o.name from jobd.option o order by o.name));
            raise check_violation using
                message = format('unknown option "%s"', v_unknown),
                hint = coalesce(format('Did you mean "%s"? ', v_nearest), '')
                    || 'The options there are: select name, meaning from jobd.option.',
                schema = 'jobd', table = 'job', column = 'options', constraint = 'job_options_are_known';
        end if;
    end if;
    return new;
end
$$;

comment on function jobd.job_validate() is 'Trigger: refuses values that are not well-formed, and says which would be.';
