"""The SQL that makes the schema, read from ``sql/`` and put in the order in which it is applied.

roles/create → values → migrations → data → functions → triggers → views → roles/*: first who owns everything,
then functions of values alone (defaults and checks use them), structure, rules that are data, functions, what
calls them, and last who may do what.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jobd.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_ROLE_PREFIX = "jobd_"
# The schema of the release before this one, with which this one's daemons work too. It moves on with each release.
OLDEST_SUPPORTED = 11

_PACKAGE = Path(__file__).resolve().parent.parent
_ROLE_NAME = re.compile(r"\bjobd_(?=(?:owner|worker|submitter|monitor|admin|login)\b)")
_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,30}")
_ROLES_FILE = "create.sql"
# The script of one version must not be run on another: structure is applied once.
_GUARD = """\
do $guard$
declare
    v_version int := 0;
begin
    if to_regclass('jobd.schema_version') is not null then
        select coalesce(max(version), 0) into v_version from jobd.schema_version;
    end if;
    if v_version <> {version} then
        raise exception 'this script is for version {version} of jobd''s schema; here it is %', v_version
            using hint = 'Print it again: jobd migrate --sql';
    end if;
end
$guard$;
"""
_LAID_ANEW = ("data", "functions", "triggers", "views")


@dataclass(frozen=True, slots=True)
class Part:
    """One file, or one statement that belongs between files."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class SchemaText:
    """Everything below ``sql/`` that makes a schema, with the role names of one prefix."""

    roles: Part
    values: tuple[Part, ...]
    migrations: tuple[Part, ...]
    laid_anew: tuple[Part, ...]
    owner: str

    @property
    def version(self) -> int:
        """The version that the last migration leads to."""
        return len(self.migrations)

    @property
    def sha256(self) -> str:
        """Identifies the text of everything that is laid anew when it changes."""
        digest = hashlib.sha256()
        for part in (self.roles, *self.values, *self.laid_anew):
            digest.update(f"{part.name}\n{part.sql}\n".encode())
        return digest.hexdigest()

    def parts(self, version: int) -> Iterator[Part]:
        """What brings a database of this version up to date, in order."""
        yield self.roles
        # SQL functions may name others that come later in the alphabet.
        yield Part("owner", f"set local role {self.owner};\nset local check_function_bodies = off;")
        yield from self.values
        for number, part in enumerate(self.migrations, start=1):
            if number > version:
                note = f"insert into jobd.schema_version (version, name) values ({number}, '{part.name}');"
                yield Part(part.name, f"{part.sql}\n{note}")
        yield from self.laid_anew
        yield Part(
            "text",
            "insert into jobd.schema_text (folder, sha256) values ('sql', '" + self.sha256 + "')\n"
            "on conflict (folder) do update set sha256 = excluded.sha256, applied_at = clock_timestamp();",
        )

    def script(self, version: int) -> str:
        """The same as one script for psql, for administrators who apply changes themselves."""
        guard = _GUARD.format(version=version)
        body = "\n".join(f"-- {part.name}\n{part.sql.strip()}\n" for part in self.parts(version))
        begin = "\\set ON_ERROR_STOP on\nbegin;\nset local lock_timeout = '1s';\n"
        return f"{begin}{guard}\n{body}\nreset role;\ncommit;\n"


def directory() -> Path:
    """Where the SQL is: in the wheel inside the package, in a checkout beside it."""
    for candidate in (_PACKAGE / "_sql", _PACKAGE.parent / "sql"):
        if (candidate / "migrations").is_dir():
            return candidate
    raise ConfigurationError("this installation of jobd lacks its SQL files (jobd/_sql)")


@cache
def load(role_prefix: str = DEFAULT_ROLE_PREFIX) -> SchemaText:
    """Read all of it."""
    if not _PREFIX.fullmatch(role_prefix):
        raise ConfigurationError(
            f"JOBD_ROLE_PREFIX: {role_prefix!r} is not a lower-case identifier of at most 31 characters"
        )
    root = directory()
    migrations = _parts(root / "migrations", role_prefix)
    for number, part in enumerate(migrations, start=1):
        if not part.name.startswith(f"migrations/{number:04}_"):
            raise ConfigurationError(f"sql/migrations: expected number {number:04}, found {part.name}")
    rights = [part for part in _parts(root / "roles", role_prefix) if not part.name.endswith("/" + _ROLES_FILE)]
    return SchemaText(
        roles=_part(root / "roles" / _ROLES_FILE, role_prefix),
        values=tuple(_parts(root / "values", role_prefix)),
        migrations=tuple(migrations),
        laid_anew=(*(part for name in _LAID_ANEW for part in _parts(root / name, role_prefix)), *rights),
        owner=f"{role_prefix}owner",
    )


def _parts(folder: Path, role_prefix: str) -> list[Part]:
    return [_part(path, role_prefix) for path in sorted(folder.glob("*.sql"))]


def _part(path: Path, role_prefix: str) -> Part:
    sql = path.read_text(encoding="utf-8")
    if role_prefix != DEFAULT_ROLE_PREFIX:
        sql = _ROLE_NAME.sub(role_prefix, sql)
    return Part(f"{path.parent.name}/{path.name}", sql)
