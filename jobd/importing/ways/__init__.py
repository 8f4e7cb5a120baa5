"""From fields to rows, by one of three ways that mean the same.

``direct`` sends the batch's own bytes to the target by COPY; ``staged`` goes through ``staging`` and ``merge``.
Both fall back on what finds the rows that are refused: ``explain``, ``row_statements``, ``alone_statements`` and
halving. ``course`` chooses the way, ``rules`` say what becomes of rows that exist, ``work`` is one attempt at a
batch, ``fates`` tell what became of each record, ``changes`` of each row. Every statement with a user's names is
composed in a module called ``…statements``.
"""
