"""Millions of rows of jobd.job within minutes, for what has to be the same however many there are."""

from __future__ import annotations

_DISARM = """
set maintenance_work_mem = '256MB';
create temp table definition as
    select format('drop index jobd.%I', indexname) as undo, indexdef as redo
    from pg_indexes where schemaname = 'jobd' and tablename = 'job' and indexname <> 'job_pkey'
    union all
    select format('drop trigger %I on jobd.job', tgname), pg_get_triggerdef(oid)
    from pg_trigger where tgrelid = 'jobd.job'::regclass and not tgisinternal
    union all
    select format('alter table jobd.job drop constraint %I', conname), null
    from pg_constraint where conrelid = 'jobd.job'::regclass and contype = 'c';
do $$
declare v_statement text;
begin
    for v_statement in select undo from definition loop
        execute v_statement;
    end loop;
end $$;
"""
_ARM = """
do $$
declare v_statement text;
begin
    for v_statement in select redo from definition where redo is not null loop
        execute v_statement;
    end loop;
end $$;
drop table definition;
"""


def unchecked(statements: str) -> str:
    """A script in which rows go in without checks, triggers and indexes, which are made again as they were.

    The checks are not: rows must be as the triggers would have made them. (A trigger with transition tables costs
    even where it is disabled.)
    """
    return f"{_DISARM}{statements}{_ARM}"
