-- jobd.explain for a job that will not go on by itself.
create or replace function jobd.explain_stopped(p_job jobd.job)
returns text
language sql
stable
set search_path = pg_catalog, jobd, pg_temp
as $$
    select case p_job.status
        when 'paused' then
            format('Paused since %s. To go on from where it stopped: select jobd.resume(%L);', p_job.paused_at, p_job.id)
        when 'completed' then
            format('Completed at %s: %s rows read, %s refused.', p_job.completed_at, p_job.processed_rows, p_job.error_count)
            || case
                when p_job.duplicate_of is not null then
                    format(' The same content was imported by job %s; to import it again, submit it with'
                        ' options {"force": true}.', p_job.duplicate_of)
                when p_job.error_count > 0 then
                    format(' The refused rows: select * from jobd.job_error where job_id = %L;', p_job.id)
                else ''
            end
        when 'failed' then
            format('Failed at %s with %s: %s', p_job.completed_at, coalesce(p_job.error_code, 'no code'),
                coalesce(p_job.error_message, 'no message'))
            || format(' Once the cause is mended, it %s: select jobd.retry(%L);',
                case when jobd.is_undone(p_job) then 'begins anew, as its rows were taken back'
                    else 'goes on from where it stopped' end, p_job.id)
        when 'cancelled' then
            format('Cancelled at %s%s. To let it %s: select jobd.retry(%L);',
                p_job.cancelled_at, ', because: ' || p_job.cancellation_reason,
                case when jobd.is_undone(p_job) then 'begin anew, as its rows were taken back'
                    else 'go on from where it stopped' end, p_job.id)
    end
    || case when p_job.erased_at is not null then ' Its source was erased: submit a new job instead.' else '' end
$$;

comment on function jobd.explain_stopped(jobd.job) is 'Internal: jobd.explain for paused and ended jobs.';
