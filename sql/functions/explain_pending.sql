-- jobd.explain for a job that waits: every reason that holds it, not only the first.
create or replace function jobd.explain_pending(p_job jobd.job)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
declare
    v_reasons text[] := '{}';
    v_other record;
    v_queue jobd.queue%rowtype;
begin
    if p_job.run_at > clock_timestamp() then
        v_reasons := v_reasons || format('It is not to start before %s (run_at)%s. Nothing to do but wait.',
            p_job.run_at,
            case when p_job.retry_count > 0 then format(
                ', which is when attempt %s of %s after an error begins%s', p_job.retry_count + 1, p_job.max_retries + 1,
                ' (' || p_job.error_message || ')')
            end);
    end if;
    if p_job.waiting_reason is not null then
        v_reasons := v_reasons || format('The last worker handed it back: %s. It is tried again by itself.',
            rtrim(p_job.waiting_reason, '.'));
    end if;

    for v_other in
        select a.id, j.status
        from unnest(p_job.after) as a (id)
        join jobd.job j on j.id = a.id
        where j.status <> 'completed'
        order by j.created_at, j.id
        limit 5
    loop
        v_reasons := v_reasons || format('It waits for job %s (after), which is %s%s', v_other.id, v_other.status,
            case
                when v_other.status = 'paused' then format('. To let that go on: select jobd.resume(%L);', v_other.id)
                when v_other.status in ('failed', 'cancelled') then ': this one fails within seconds.'
                else format('. More: select jobd.explain(%L);', v_other.id)
            end);
    end loop;

    select j.id, j.status into v_other
    from jobd.job j
    where j.submitted_role_oid = p_job.submitted_role_oid
      and j.serial_key = p_job.serial_key
      and j.status in ('pending', 'running', 'paused', 'failed')
      and j.id <> p_job.id
      and (
          j.status = 'running'
          or (j.created_at, j.id) < (p_job.created_at, p_job.id)
          and (j.status in ('pending', 'paused') or j.options @> '{"hold_on_failure": true}')
      )
    order by j.status <> 'running', j.created_at, j.id
    limit 1;
    if found then
        v_reasons := v_reasons || format('Job %s of the same serial_key %L comes first; it is %s%s',
            v_other.id, p_job.serial_key, v_other.status,
            case v_other.status
                when 'paused' then format('. Let it go on, or cancel it: select jobd.resume(%L);', v_other.id)
                when 'failed' then format(', and its option hold_on_failure keeps the others waiting. Mend the cause and'
                    ' select jobd.retry(%1$L), or take it out of the way: select jobd.retry(%1$L), jobd.cancel(%1$L);', v_other.id)
                else format('. More: select jobd.explain(%L);', v_other.id)
            end);
    end if;

    select * into v_queue from jobd.queue q where q.name = p_job.queue;
    if v_queue.is_paused and (v_queue.resume_at is null or v_queue.resume_at > clock_timestamp()) then
        v_reasons := v_reasons || format('Queue %L is paused%s%s. To let it go on: select jobd.resume_queue(%1$L);',
            p_job.queue, ' by ' || v_queue.paused_by, ' until ' || v_queue.resume_at);
    end if;
    return v_reasons || jobd.explain_workers(p_job, v_reasons = '{}');
end
$$;

comment on function jobd.explain_pending(jobd.job) is 'Internal: jobd.explain for pending jobs.';
