"""From a record's fields to the columns of the target: which goes where, and how its value is written.

``mapping`` decides what goes where, ``stated`` what the options say of each field. ``values`` rewrites what is not
written as PostgreSQL writes it, by ``forms`` for each kind of type; ``candidates`` finds such fields in bulk,
``rewrite`` puts the new bytes in. ``nulls`` tells nulls, ``prefix`` what stands in front of each record, and
``arrange`` makes of it all what COPY is sent.
"""
