"""What a daemon lives on: jobd's tables, and its process."""

from __future__ import annotations

from . import shared
from .look import BAD
from .panels import Lines
from .queries import INSTANCE, PROCESS, Query

TABLES = (
    Lines(
        title="Dead rows per live row",
        description="How full of dead rows each of jobd's tables is: above 0.5 in a large table, vacuum does"
        " not keep"
        " up.",
        unit="none",
        queries=(
            Query(
                'max by (relation) (jobd_table_rows{state="dead"})'
                ' / clamp_min(max by (relation) (jobd_table_rows{state="live"}), 1)',
                "{{relation}}",
            ),
        ),
        alerts=("JobdTableBloat",),
    ),
    Lines(
        title="Size of tables",
        description="Bytes of each of jobd's tables, with its indexes.",
        unit="bytes",
        stacked=True,
        queries=(Query("max by (relation) (jobd_table_size_bytes)", "{{relation}}"),),
        alerts=("JobdTableBloat",),
    ),
    shared.in_the_way(),
    Lines(
        title="Sessions that wait for a lock",
        description="Sessions of jobd's that wait for a lock which somebody holds.",
        unit="none",
        decimals=0,
        queries=(Query("max(jobd_lock_waiters)", "sessions"),),
        alerts=("JobdLockContention",),
    ),
    Lines(
        title="Reading the queues",
        description="How long the reading of the queues and tables takes each daemon.",
        unit="s",
        queries=(Query(f"max by (instance) (jobd_queue_sample_seconds{{{INSTANCE}}})", "{{instance}}"),),
        alerts=("JobdSampleStale",),
    ),
    Lines(
        title="Queues counted as others",
        description="Jobs whose queue is beyond the 50 that a daemon tells apart, so that they are __other__.",
        unit="none",
        decimals=0,
        queries=(Query(f"sum(increase(jobd_metric_label_overflow_total{{{INSTANCE}}}[15m]))", "within 15 min"),),
        alerts=("JobdQueueNamesOverflow",),
    ),
)

OF_PROCESS = (
    Lines(
        title="Processor",
        description="Cores that each daemon uses.",
        unit="suffix:cores",
        queries=(
            Query(
                f"sum by (instance) (rate(process_cpu_seconds_total{{{PROCESS}}}[$__rate_interval]))",
                "{{instance}}",
            ),
        ),
    ),
    Lines(
        title="Memory",
        description="Resident memory of each daemon.",
        unit="bytes",
        queries=(Query(f"max by (instance) (process_resident_memory_bytes{{{PROCESS}}})", "{{instance}}"),),
    ),
    Lines(
        title="Open files",
        description="Share of the files and sockets that each daemon may open.",
        unit="percentunit",
        queries=(
            Query(
                f"max by (instance) (process_open_fds{{{PROCESS}}} / process_max_fds{{{PROCESS}}})", "{{instance}}"
            ),
        ),
    ),
    Lines(
        title="Starts",
        description="Starts of each daemon within 15 minutes; more than 3 page.",
        unit="none",
        decimals=0,
        steps=((3, BAD),),
        queries=(
            Query(f"sum by (instance) (changes(process_start_time_seconds{{{PROCESS}}}[15m]))", "{{instance}}"),
        ),
        alerts=("JobdRestartLoop",),
    ),
    Lines(
        title="Lines logged",
        description="Lines of the log that are warnings or errors, in each interval.",
        unit="none",
        decimals=0,
        as_bars=True,
        queries=(
            Query(
                f"sum by (level) (increase(jobd_log_records_total{{{INSTANCE}}}[$__rate_interval]))", "{{level}}"
            ),
        ),
    ),
    Lines(
        title="The database's disk",
        description="Daemons that lately found no room for a write: jobs wait for it.",
        unit="none",
        decimals=0,
        steps=((0.5, BAD),),
        steps_as_lines=False,
        queries=(Query(f"sum(jobd_db_disk_full{{{INSTANCE}}})", "without room"),),
        alerts=("JobdDiskFull",),
    ),
)
