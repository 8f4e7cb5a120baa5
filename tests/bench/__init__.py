"""`make bench`: speed, as ratios to what psql does with the same file in the same run.

``laboratory`` is the server and the daemon, ``data`` makes the files, ``imports`` and ``queue`` are the measures,
``report`` prints them. Machines drift by a third within an hour, so only ratios of one sitting mean anything:
the measures of one round run one after the other, and the median of the rounds is reported.
"""
