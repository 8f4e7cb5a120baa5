"""What a daemon counts, in a registry of its own. Names and labels are part of the public contract.

- ``labels``    the closed sets of label values, and the guard over the open one
- ``families``  makes metrics of one registry
- ``jobs``      what jobs do: claims, attempts, rows, waits, objectives
- ``queues``    what waits, read from the database by every daemon alike: take the maximum, never the sum
- ``database``  how the database answers
- ``daemon``    this daemon itself: slots, lease, loops, logs
"""

from jobd.metrics.jobs import RunningJobs
from jobd.metrics.labels import ERROR_CLASSES, JOB_TYPES, OTHER, QUEUES_MAX, STATUSES
from jobd.metrics.metrics import Metrics

__all__ = ["ERROR_CLASSES", "JOB_TYPES", "OTHER", "QUEUES_MAX", "STATUSES", "Metrics", "RunningJobs"]
