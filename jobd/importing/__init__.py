"""From records to rows of a table.

``pipeline`` reads one batch ahead and commits one after the other; ``prepare`` decides target and mapping before
the first; ``importer`` brings a batch in by one of three ways that mean the same: ``direct`` (the file's own bytes
by COPY), ``staged`` (``staging``, then ``merge``), and what both fall back on to find the rows that are refused
(``explain``, the queries of ``row_statements``, halving). ``course`` chooses the way, ``refusals`` keeps the
reasons, ``codes`` lists them.
"""
