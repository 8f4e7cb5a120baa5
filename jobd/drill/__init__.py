"""`jobd drill`: imports known data under random faults, and proves that nothing was lost and nothing came twice.

- ``drill``    its steps, from an empty scratch database to the report
- ``scratch``  the database; ``daemons`` and ``network``: child processes, each behind a proxy that can fail
- ``content``  what files contain and what must become of each record; ``load``: rounds of files and their jobs
- ``ground``   what faults act on; ``menu``: the faults; ``fault``: one that struck, and how long recovery took
- ``settle``   the end of the faults: everything is done, or is stuck
- ``beliefs``  what daemons said in their logs; ``history``: the checker that holds it against the database
- ``proof``    files, counters, errors and tables held against one another; ``report``: what was found, as values
"""
