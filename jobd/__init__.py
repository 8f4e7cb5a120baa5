"""jobd: a daemon that imports files into PostgreSQL exactly once, with PostgreSQL itself as its queue.

A map of the package, from what a user starts down to what everything stands on:

- ``cli``        one module per group of commands
- ``process``    a daemon as a program: event loop, signals, exit codes
- ``daemon``     builds the parts, runs them, stops them in order
- ``client``     submit, control and wait from Python, on the caller's own connection
- ``doctor``     what is wrong with an installation, and how to mend it
- ``services``   one file per loop that a running daemon has
- ``handlers``   one file per job type
- ``importing``  from records to rows: mapping, the three ways into a table, row errors
- ``runner``     runs one claimed job: its fenced batches, its stops, its ending
- ``sources``    where records come from; knows nothing of jobs
- ``db``         the only package that opens connections
- ``tracing``    spans of OpenTelemetry's, where a receiver is named
- ``model``      pure values
- ``settings``, ``log``, ``metrics``, ``systemd``, ``errors``
"""
