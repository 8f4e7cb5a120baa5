"""`make soak`: a day's work in the time given, under faults, to see what grows.

- ``soak``     the work: rounds of files and no-ops are fed, proved and pruned while faults strike
- ``probe``    one sample: memory, files, threads and connections of the daemons, tuples and sizes, claim time
- ``figures``  the first quarter of the samples beside the last, held against bounds
"""
