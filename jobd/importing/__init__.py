"""From records to rows of a table.

``pipeline`` takes one batch after the other, from the first to the last; ``prepare`` decides target and mapping
before that; ``importer`` brings a batch in, one of ``importers`` for each layout that the files have.

- ``reading``  the files of a job and their batches, one ahead; what was read before; totals
- ``fields``   which field goes into which column, and how its value is written
- ``schema``   the option ``schema``
- ``ways``     the three ways into the table, which mean the same, and what became of each record

``refusals`` keeps the reasons, ``codes`` lists them. ``rehearsal`` brings batches in for a validation, with
``seen`` to tell repeated keys; ``whole`` holds all of them in one transaction. ``bundle`` imports the small
files of several jobs as one batch, with what ``memory`` kept of the last job in the same slot.
"""
