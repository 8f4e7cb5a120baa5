"""How connections are opened: whose login, under which name, with which time-outs."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from jobd import log
from jobd.db.grants import login_password
from jobd.db.hosts import Hosts
from jobd.db.queries import query
from jobd.db.transient import error_class
from jobd.errors import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    from uuid import UUID

    from jobd.metrics import Metrics
    from jobd.settings import Settings

# A peer that vanished without a word is noticed after about this long.
KEEPALIVE_IDLE_SECONDS = 10
KEEPALIVE_INTERVAL_SECONDS = 5
KEEPALIVE_PROBES = 3
USER_TIMEOUT_MILLISECONDS = 30_000

# Parameters of the URL that name a file.
_FILES = {"sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"}

_log = log.get("connect")


class Connector:
    """Opens connections for one worker. Secrets are read again for each, so that they may be rotated.

    ``is_pooled``: a pooler stands between, known since the first connection. Each transaction may then run on
    another backend, so nothing is left on one for the next: no prepared statements, settings or tables.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self.application_name = "jobd"
        self.hosts = Hosts()
        self.is_pooled = settings.statement_cache == 0
        self._is_known = self.is_pooled

    def name_after(self, worker_id: UUID) -> None:
        """Let new connections carry the worker's id, by which peers find the backends of a dead worker."""
        self.application_name = f"jobd:{worker_id}"

    async def open(
        self, login: str | None = None, *, statement_cache_size: int | None = None
    ) -> asyncpg.Connection:
        """Open a connection: as jobd's own login, or as a submitter's."""
        secret = None if login is None else self._settings.secret("submitter_secret")
        password = None if secret is None or login is None else login_password(secret, login)
        url = self._settings.secret("database_url") or ""
        url = _without_login(url) if login else url
        cache = self._settings.statement_cache if statement_cache_size is None else statement_cache_size
        # Until it is known that they would be kept, none are prepared.
        connection = await self._connect(
            url, cache if self._is_known and not self.is_pooled else 0, login, password
        )
        try:
            await self._settle(connection, login)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def open_direct(self) -> asyncpg.Connection:
        """Open the connection that listens; it should not lead through a pooler."""
        url = self._settings.secret("notify_database_url") or self._settings.secret("database_url") or ""
        return await self._connect(url, 0)

    @property
    def may_listen(self) -> bool:
        """Whether there is a way to listen that is not known to lead through a pooler."""
        return not self.is_pooled or self._settings.secret("notify_database_url") is not None

    async def _settle(self, connection: asyncpg.Connection, login: str | None) -> None:
        if not self._is_known:
            self.is_pooled = await is_pooled(connection)
            self._is_known = True
            if self.is_pooled:
                _log.info(
                    "a pooler stands between: nothing is kept on a connection from one transaction to the next"
                )
        self._metrics.database.pooled.set(self.is_pooled)
        await self.prepare(connection)
        if login is not None:
            await connection.execute(query("session_of_login"))

    async def _connect(
        self, url: str, cache: int, user: str | None = None, password: str | None = None
    ) -> asyncpg.Connection:
        seconds = self._settings.connect_timeout_seconds

        async def connect(to_one_host: str) -> asyncpg.Connection:
            return await asyncpg.connect(
                to_one_host,
                timeout=seconds,
                command_timeout=self._settings.command_timeout_seconds,
                statement_cache_size=cache,
                server_settings={"application_name": self.application_name},
                user=user,
                password=password,
            )

        try:
            connection = await self.hosts.connect(url, connect, seconds)
        except asyncpg.ClientConfigurationError:
            # The driver's words may quote the URL, and with it the password.
            raise ConfigurationError("JOBD_DATABASE_URL is not a valid connection URL") from None
        except Exception as error:
            self._metrics.database.count_error(error_class(error))
            if isinstance(error, OSError):
                _require_files(url)
            if user is None and isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
                # Its password is being changed, mostly: no matter of the job whose session this was to be.
                raise DatabaseUnavailable("the database refuses jobd's own login") from error
            raise
        self._metrics.database.opened.inc()
        _keep_alive(connection)
        return connection

    async def prepare(self, connection: asyncpg.Connection) -> None:
        """Set what jobd wants of its own sessions (a pooler's are others' too), also after DISCARD ALL."""
        if self.is_pooled:
            return
        await connection.execute(query("session_prepare"))
        if not self._settings.notify:
            await connection.execute(query("session_without_notify"))


async def is_pooled(connection: asyncpg.Connection) -> bool:
    """Whether somebody in between answers for the server: the backend is not the one that was announced."""
    announced = connection.get_server_pid()
    return bool(await connection.fetchval("select pg_backend_pid()") != announced)


def _without_login(url: str) -> str:
    """The URL without user and password: a submitter's login must not be tried with jobd's own password."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in {"user", "password"}]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=urlencode(query)))


def _require_files(url: str) -> None:
    """Say which of the files that the URL names cannot be read; that may pass, when it is being replaced."""
    for name, path in parse_qsl(urlsplit(url).query):
        if name in _FILES and not os.access(path, os.R_OK):
            raise DatabaseUnavailable(f"JOBD_DATABASE_URL names a file that cannot be read here: {name}={path}")


def _keep_alive(connection: asyncpg.Connection) -> None:
    """Notice a peer that vanished without a word, also while something waits to be sent to it."""
    transport = getattr(connection, "_transport", None)  # the driver has no public way to its socket
    open_socket = None if transport is None else transport.get_extra_info("socket")
    if open_socket is None or open_socket.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_SECONDS),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_SECONDS),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", USER_TIMEOUT_MILLISECONDS),
    ):
        option = getattr(socket, name, None)  # not every system has them all
        if option is not None:
            open_socket.setsockopt(socket.IPPROTO_TCP, option, value)
