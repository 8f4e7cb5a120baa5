"""Everything that can go wrong, as one tree; catch at the height you need.

::

    JobdError
    ├── ConfigurationError            a setting is unknown or invalid; the daemon exits 78
    ├── DatabaseUnavailable           no connection, or the server is starting, stopping or out of connections
    │   └── DatabaseFull              its disk is full: what writes must wait until somebody makes room
    ├── HostNotReady                  a job cannot run just now, here or at all: it is handed back, and waits
    ├── SourceUnavailable             a remote source cannot be reached just now: the job is tried again
    ├── SchemaMismatch                the database's schema is missing, older or newer than this jobd
    ├── ForeignDatabase               the database belongs to another environment, or is a copy: nothing is started
    ├── JobError                      about one job, which it carries as ``job_id``
    │   ├── JobNotFound               unknown id, or another submitter's job
    │   ├── StaleVersion              ``expected_version`` was not the job's version; nothing changed
    │   ├── JobRefused                the database refused the submission, and says what to do
    │   ├── DuplicateSubmission       another job holds the idempotency key
    │   ├── LeaseLost                 another worker may hold the job now; nothing was written
    │   ├── JobCancelled              a cancel was asked for; the open batch is rolled back
    │   ├── Stopped                   the job was asked to stop at a batch border
    │   └── JobFailed                 the job cannot succeed by being tried again; has a stable code
    │       ├── SourceError           missing, unreadable, forbidden, empty, truncated …
    │       │   └── SourceChanged     not the file that the cursor belongs to
    │       ├── TargetError           no such table, no privilege, unknown column …
    │       │   └── TargetChanged     not the table that the job began with
    │       ├── OptionError           an option's value, or an option that is not built yet
    │       └── TooManyErrors         ``max_errors`` was exceeded, or every record was refused
    └── RowRefused                    one record could not be taken; the job goes on
        ├── ParseError                ragged, undecodable, too long, malformed
        ├── ValidationError           a value its type, a constraint or a rule refuses
        └── DuplicateError            the row exists already, or resembles one that does
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from uuid import UUID


class JobdError(Exception):
    """Base of all of jobd's own exceptions."""


class ConfigurationError(JobdError):
    """A setting is unknown or invalid. The message is one line that names it and says what is allowed."""


class DatabaseUnavailable(JobdError):
    """The database cannot be reached, or does not accept work just now."""


class DatabaseFull(DatabaseUnavailable):
    """The database's disk is full: what writes must wait until somebody makes room."""


class HostNotReady(JobdError):
    """A job cannot run just now, here or at all; it is handed back to wait, with the message as its reason."""


class SourceUnavailable(JobdError):
    """A remote source cannot be reached, or breaks off again and again; trying later may help."""


class SchemaMismatch(JobdError):
    """The schema in the database is missing, or not one that this version can work with."""


class ForeignDatabase(JobdError):
    """The database belongs to another environment, or is a copy of this one's: it has to be adopted first."""


class JobError(JobdError):
    """Something about one job."""

    def __init__(self, message: str, *, job_id: UUID | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id


class JobNotFound(JobError):
    """No job has this id, or it belongs to another submitter (the two are not told apart)."""


class StaleVersion(JobError):
    """The job has changed since the caller read it; nothing was changed."""


class JobRefused(JobError):
    """The database refused the job row; the message says which column and what to do instead."""


class DuplicateSubmission(JobError):
    """A job that is neither failed nor cancelled holds this idempotency key.

    ``existing_job_id`` is that job, when the database named it.
    """

    def __init__(self, message: str, *, job_id: UUID | None = None, existing_job_id: UUID | None = None) -> None:
        super().__init__(message, job_id=job_id)
        self.existing_job_id = existing_job_id


class LeaseLost(JobError):
    """The lease this work was done under is no longer the job's: whatever was open is rolled back."""


class JobCancelled(JobError):
    """The job is to be cancelled: its open batch is rolled back."""


class Stopped(JobError):
    """The job was asked to stop and did so at a batch border; ``reason`` says why."""

    def __init__(self, message: str, *, reason: str, job_id: UUID | None = None) -> None:
        super().__init__(message, job_id=job_id)
        self.reason = reason


class JobFailed(JobError):
    """The job fails and is not retried by itself.

    ``code`` is the stable word that ends up in ``job.error_code``; the message is for people.
    """

    code: ClassVar[str] = "failed"

    def __init__(self, message: str, *, code: str | None = None, job_id: UUID | None = None) -> None:
        super().__init__(message, job_id=job_id)
        self.error_code = code or self.code


class SourceError(JobFailed):
    """The source cannot be read; codes begin with ``source_``."""

    code = "source_unreadable"


class SourceChanged(SourceError):
    """The source is not the one that the job's cursor belongs to."""

    code = "source_changed"


class TargetError(JobFailed):
    """The target table does not exist, may not be written, or does not fit the source's columns."""

    code = "target_invalid"


class TargetChanged(TargetError):
    """The target was dropped, renamed, or a mapped column changed its type while the job ran."""

    code = "target_changed"


class OptionError(JobFailed):
    """An option has a value it cannot have, or is known but not built yet."""

    code = "option_invalid"


class TooManyErrors(JobFailed):
    """More records were refused than ``max_errors`` allows, or all of them."""

    code = "too_many_errors"


class RowRefused(JobdError):
    """One record that could not be taken.

    ``row`` counts data records from 1 in the file, ``line`` is the physical line it starts on, ``field`` the
    column (None: the record as a whole), ``raw_data`` the refused value as it stood in the file.
    """

    error_type: ClassVar[str] = "system"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        row: int | None = None,
        line: int | None = None,
        field: str | None = None,
        raw_data: str | None = None,
    ) -> None:
        super().__init__(message)
        self.error_code = code
        self.row = row
        self.line = line
        self.field = field
        self.raw_data = raw_data


class ParseError(RowRefused):
    """The record could not be read: ragged, undecodable, too long, malformed."""

    error_type = "parse"


class ValidationError(RowRefused):
    """A value was refused by its type, by a constraint or by a rule."""

    error_type = "validation"


class DuplicateError(RowRefused):
    """The row exists already, or resembles one that does.

    ``existing_key`` is the key of the row that is there, ``similarity`` lies between 0 and 1.
    """

    error_type = "duplicate"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        row: int | None = None,
        line: int | None = None,
        field: str | None = None,
        raw_data: str | None = None,
        existing_key: dict[str, object] | None = None,
        similarity: float | None = None,
    ) -> None:
        super().__init__(message, code=code, row=row, line=line, field=field, raw_data=raw_data)
        self.existing_key = existing_key
        self.similarity = similarity
