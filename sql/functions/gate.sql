-- Whether a job may start as far as other jobs are concerned.
--
-- serial_key: open when no earlier job of the submitter under this key is pending, running or paused (or failed with
-- hold_on_failure), and none at all is running. Earlier means submitted earlier: created_at, then id. Of several
-- jobs only the earliest can pass, so two workers never pass two of them.
-- after: open when all are completed; a job that was pruned had completed.
-- With the caller's rights: a submitter learns nothing about jobs that are not its own.
--
-- Runs with the caller's rights: everything that can hold a job belongs to its submitter, and nobody may ask about
-- another's jobs here.
create or replace function jobd.gate(
    p_id uuid,
    p_after uuid[],
    p_submitted_role_oid oid,
    p_serial_key text,
    p_created_at timestamptz,
    out is_open boolean,
    out failed_id uuid,  -- a job waited for that will never complete by itself
    out failed_status text
)
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
begin
    is_open := true;
    if p_after is not null then
        select j.id, j.status into failed_id, failed_status
        from jobd.job j
        where j.id = any (p_after) and j.status in ('failed', 'cancelled')
        order by j.id
        limit 1;
        if found or exists (select from jobd.job j where j.id = any (p_after) and j.status <> 'completed') then
            is_open := false;
            return;
        end if;
    end if;
    if p_serial_key is not null then
        is_open := not exists (
            select from jobd.job j
            where j.submitted_role_oid = p_submitted_role_oid
                and j.serial_key = p_serial_key
                and j.serial_key is not null
                and j.status in ('pending', 'running', 'paused', 'failed')
                and j.id <> p_id
                and (
                    j.status = 'running'
                    or (j.created_at, j.id) < (p_created_at, p_id)
                    and (j.status in ('pending', 'paused') or j.options @> '{"hold_on_failure": true}')
                )
        );
    end if;
end
$$;

comment on function jobd.gate(uuid, uuid[], oid, text, timestamptz) is
    'Whether a job may start as far as serial_key and after are concerned.';
