"""Everything that can be set, from ``JOBD_*`` environment variables and an optional env file.

The environment wins over the file. A secret may stand in a file of its own, named by the same variable with
``_FILE`` appended; such a file is read again for each new connection, so that a rotated password needs no restart.
"""

from __future__ import annotations

import difflib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from jobd.errors import ConfigurationError

PREFIX = "JOBD_"
ENV_FILE_VARIABLE = "JOBD_ENV_FILE"
ENVIRONMENT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
_SECRETS = ("database_url", "notify_database_url", "submitter_secret")
# Variables that belong to other programs of jobd's, and are none of the daemon's business.
_FOREIGN_PREFIXES = ("JOBD_DEMO_", "JOBD_BENCH_")
_TRACE_PREFIX = "OTEL_"


def _split_commas(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _split_paths(value: object) -> object:
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


def _absolute(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    for path in paths:
        if not path.is_absolute():
            raise ValueError(f"{path} is not an absolute path")
    return paths


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be host:port, for instance 127.0.0.1:9090")
    return value


def _worker_name(value: str) -> str:
    return value or platform.node() or "jobd"


Names = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_split_paths), AfterValidator(_absolute)]
Address = Annotated[str, AfterValidator(_address)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """The settings of one daemon, or of one command. ``Settings.load()`` reads them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # --- database
    database_url: SecretStr = Field(
        SecretStr("postgresql://localhost/postgres"),
        description="Connection URL of the database with jobd's schema; may name several hosts for failover.",
    )
    database_url_file: Path | None = Field(None, description="File with the connection URL.")
    notify_database_url: SecretStr | None = Field(
        None,
        description="Direct URL for the one LISTEN connection, where JOBD_DATABASE_URL leads to a pooler; "
        "without it jobd polls every second there.",
    )
    notify_database_url_file: Path | None = Field(None, description="File with that URL.")
    submitter_secret: SecretStr | None = Field(
        None, description="From it the passwords of the submitters' logins are derived; the same for `jobd grant`."
    )
    submitter_secret_file: Path | None = Field(None, description="File with that secret.")
    environment: str | None = Field(
        None,
        pattern=ENVIRONMENT_PATTERN,
        description="What the database belongs to, for instance `production`: the first `jobd migrate` notes it, "
        "and daemons of another one, or in a copy of the database, start nothing until `jobd migrate --adopt`.",
    )
    role_prefix: str = Field(
        "jobd_", pattern=r"^[a-z_][a-z0-9_]{0,30}$", description="What the names of jobd's roles begin with."
    )
    connect_timeout_seconds: Seconds = Field(10, description="How long one attempt to connect may take.")
    command_timeout_seconds: Seconds = Field(30, description="How long a statement of jobd's own may take.")
    statement_cache: int = Field(
        100, ge=0, description="Statements prepared per connection; a pooler is noticed, and gets none."
    )

    # --- work
    queues: Names = Field(("default",), min_length=1, description="Queues to claim from, separated by commas.")
    concurrency: int = Field(
        4,
        ge=1,
        le=256,
        description="Jobs that run at one time; small files that are brought in together count as one.",
    )
    batch_size: int = Field(20_000, ge=1, le=1_000_000, description="Rows of a batch at most.")
    import_roots: Paths = Field((), description="Directories that imports may read; without any, none.")
    remote_allow: Names = Field(
        (),
        description="Remote places that imports may read, as prefixes: `s3://bucket/in/`, `https://host/path/`; "
        "without any, none.",
    )
    remote_private: Names = Field(
        (), description="Hosts and networks (CIDR) with private addresses that may be read over HTTP all the same."
    )
    remote_copy_bytes_max: int = Field(
        1 << 30, ge=0, description="Bytes of a remote file at most whose server cannot give parts of it."
    )
    export_roots: Paths = Field((), description="Directories that exports may write. Not built yet.")
    spool: Path | None = Field(None, description="Directory of uploads; counts as an import root.")
    record_bytes_max: int = Field(16 << 20, ge=1 << 10, le=512 << 20, description="Bytes of one record at most.")
    columns_max: int = Field(10_000, ge=1, le=100_000, description="Columns of a source at most.")
    nesting_depth_max: int = Field(200, ge=1, le=10_000, description="How deep JSON may be nested.")
    files_max: int = Field(100_000, ge=1, description="Files of one job at most, or members of an archive.")
    expansion_ratio_max: int = Field(
        1000, ge=1, description="Unpacked bytes per packed one, from 64 MiB of a compressed file on."
    )
    expanded_bytes_max: int = Field(1 << 40, ge=1, description="Unpacked bytes of one compressed file at most.")
    workbook_bytes_max: int = Field(
        64 << 20, ge=1, description="Bytes of a workbook at most, packed or unpacked: it is held in memory."
    )
    atomic_seconds_max: Seconds = Field(
        3600, description="How long the one transaction of an `atomic` import may take."
    )
    handlers: Names = Field(
        (), description="Python modules (or module:attribute) that register handlers of processing jobs."
    )
    instance: Annotated[str, AfterValidator(_worker_name)] = Field(
        "", max_length=200, validate_default=True, description="The worker's name; default the host's name."
    )

    # --- time
    heartbeat_seconds: Seconds = Field(0.8, description="How often the lease is renewed.")
    lease_seconds: Seconds = Field(10, le=3600, description="How long a silent worker keeps its jobs.")
    poll_seconds: Seconds = Field(10, description="How often to look for work although nothing was heard.")
    notify: bool = Field(True, description="off: neither listen nor notify, poll only.")
    shutdown_grace_seconds: float = Field(25, ge=0, description="What open batches get to end after SIGTERM.")
    stop_timeout_seconds: Seconds = Field(
        10, description="A stop not obeyed by then is carried out without the job: its backend is terminated."
    )
    sample_seconds: Seconds = Field(15, description="How often the queues' gauges are read from the database.")

    prune_after_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="Delete jobs that ended so many days ago, failed ones not; unset: `jobd prune` does.",
    )

    # --- to be seen
    metrics_listen: Address | None = Field(
        "127.0.0.1:9464", description="host:port of metrics and health; port 0 picks one and logs it; off = none."
    )
    api_listen: Address | None = Field(None, description="host:port of the HTTP API. Not built yet.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level to log.")
    log_format: Literal["json", "console"] = Field("json", description="A JSON object a line, or text for people.")
    event_loop: Literal["auto", "asyncio", "uvloop"] = Field(
        "auto", description="auto takes uvloop where it is installed."
    )

    def model_post_init(self, _context: Any, /) -> None:
        """Check what no field can check alone."""
        for name in ("api_listen", "export_roots"):
            if getattr(self, name):  # a setting that is without effect would be believed in
                raise ValueError(f"{PREFIX}{name.upper()} is for a part that is not built yet: leave it unset")
        if self.lease_seconds < 3 * self.heartbeat_seconds:
            raise ValueError("JOBD_LEASE_SECONDS must be at least three times JOBD_HEARTBEAT_SECONDS")

    # --- for tests of jobd itself
    test_point: str | None = Field(
        None,
        pattern=r"^[a-z_.]+(:[0-9]+)?(=(kill|stop))?$",
        description="Kills or stops the daemon where it passes a named point the nth time; for jobd's own tests.",
    )

    @classmethod
    def load(
        cls, *, env_file: Path | None = None, environment: Mapping[str, str] | None = None, **overrides: Any
    ) -> Self:
        """Read the environment and the env file; ``overrides`` (a command line's options) win over both.

        Raises ConfigurationError with one line that names the variable and says what is wrong with it.
        """
        environment = os.environ if environment is None else environment
        in_file = _read_env_file(_named_file(env_file, environment))
        values = _own_variables(in_file) | _own_variables(environment)
        values |= {name: value for name, value in overrides.items() if value is not None}
        try:
            settings = cls.model_validate(values)
        except ValidationError as invalid:
            raise ConfigurationError(_first_complaint(invalid)) from None
        for secret in _SECRETS:
            settings.secret(secret)
        return settings

    def secret(self, name: str) -> str | None:
        """The secret's value, read anew where it stands in a file."""
        path: Path | None = getattr(self, f"{name}_file")
        if path is not None:
            try:
                return path.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as unreadable:
                reason = getattr(unreadable, "strerror", None) or "not UTF-8"
                raise ConfigurationError(f"{PREFIX}{name.upper()}_FILE: cannot read {path}: {reason}") from None
        value: SecretStr | None = getattr(self, name)
        return None if value is None else value.get_secret_value()

    @property
    def readable_roots(self) -> tuple[Path, ...]:
        """Directories that imports may read, the spool included."""
        return self.import_roots if self.spool is None else (*self.import_roots, self.spool)


def service_manager_address() -> tuple[str | None, str | None]:
    """Where systemd wants to be told, and the period of its watchdog; both are its variables, not jobd's."""
    is_watched = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return os.environ.get("NOTIFY_SOCKET"), os.environ.get("WATCHDOG_USEC") if is_watched else None


def kept_sockets() -> range:
    """The descriptors of sockets that systemd kept while the service restarted: by its variables, as above."""
    first = 3
    count = os.environ.get("LISTEN_FDS", "0") if os.environ.get("LISTEN_PID") == str(os.getpid()) else "0"
    return range(first, first + (int(count) if count.isdigit() else 0))


def journal_stream() -> str | None:
    """Which of systemd's streams leads to the journal; its variable too."""
    return os.environ.get("JOURNAL_STREAM")


def adopt_trace_variables(env_file: Path | None = None) -> None:
    """Put those of OpenTelemetry's variables that stand in the env file where it looks for them itself."""
    for name, value in _read_env_file(_named_file(env_file, os.environ)).items():
        if name.startswith(_TRACE_PREFIX):
            os.environ.setdefault(name, value)


def trace_variables() -> Mapping[str, str]:
    """OpenTelemetry's variables, which are its own: it reads them itself once they name a receiver."""
    return {name: value for name, value in os.environ.items() if name.startswith(_TRACE_PREFIX)}


def callers_traceparent() -> str | None:
    """In which trace a command was started, as build systems and schedulers tell what they start."""
    return os.environ.get("TRACEPARENT")


def _named_file(env_file: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The env file that a command line names, or else the environment."""
    return env_file or (Path(path) if (path := environment.get(ENV_FILE_VARIABLE)) else None)


def _read_env_file(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    if not path.is_file():
        raise ConfigurationError(f"{ENV_FILE_VARIABLE}: no such file: {path}")
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _own_variables(variables: Mapping[str, str]) -> dict[str, Any]:
    """The ``JOBD_*`` variables by field name. Empty means not set, ``off`` or ``none`` none, where that exists."""
    values: dict[str, Any] = {}
    for variable, text in variables.items():
        is_own = variable.startswith(PREFIX) and not variable.startswith(_FOREIGN_PREFIXES)
        if not is_own or variable == ENV_FILE_VARIABLE:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in Settings.model_fields or variable != variable.upper():
            raise ConfigurationError(f"{variable}: unknown setting{_nearest(name)}")
        if text != "":
            is_none = text.lower() in {"off", "none"} and name.endswith("_listen")
            values[name] = None if is_none else text
    return values


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.6)
    return f" (did you mean {PREFIX}{near[0].upper()}?)" if near else "; `jobd run --help` lists them all"


def _first_complaint(invalid: ValidationError) -> str:
    complaint = invalid.errors(include_input=False, include_url=False, include_context=False)[0]
    message = complaint["msg"].removeprefix("Value error, ")
    if not complaint["loc"]:
        return message
    return f"{PREFIX}{str(complaint['loc'][0]).upper()}: {message}"
