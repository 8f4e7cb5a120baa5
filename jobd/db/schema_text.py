"""The SQL that makes the schema, read from ``sql/`` and put in the order in which it is applied.

roles/create → values → migrations → data → functions → triggers → views → roles/*: first who owns everything,
then functions of values alone (defaults and checks use them), structure, rules that are data, functions, what
calls them, and last who may do what.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jobd.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
# What a migration does to daemons that are at work: nothing, or it removes what those need that know less.
_KIND = re.compile(r"-- (?:Expand|Contract: for daemons that know schema (?P<compatible_from>\d+))\.\n")
_KIND_SINCE = 12  # the version from which on the schema says whom it admits
_CONTRACT_GUARD = """\
do $guard$
declare
    v_workers text;
begin
    select string_agg(distinct format('%s (version %s on %s)', w.name, w.version, w.host), ', ') into v_workers
    from jobd.worker w
    where w.lost_at is null and w.lease_expires_at > clock_timestamp()
        and coalesce(w.schema_version, 0) < {compatible_from};
    if v_workers is not null then
        raise object_not_in_prerequisite_state using
            message = 'daemons are at work that need what {name} removes: ' || v_workers,
            hint = 'Restart them with this release, then repeat: jobd migrate';
    end if;
end
$guard$;"""
_LAID_ANEW = ("data", "functions", "triggers", "views")


@dataclass(frozen=True, slots=True)
class Part:
    """One file, or one statement that belongs between files."""

    name: str
    sql: str

    @property
    def compatible_from(self) -> int | None:
        """Of a contract migration: which version of the schema daemons must know from then on."""
        kind = _KIND.match(self.sql)
        if kind is None:
            raise ConfigurationError(
                f"sql/{self.name}: its first line must be `-- Expand.` or "
                "`-- Contract: for daemons that know schema NN.`"
            )
        return None if kind["compatible_from"] is None else int(kind["compatible_from"])


@dataclass(frozen=True, slots=True)
class SchemaText:
    """Everything below ``sql/`` that makes a schema, with the role names of one prefix."""

    roles: Part
    values: tuple[Part, ...]
    migrations: tuple[Part, ...]
    laid_anew: tuple[Part, ...]
    owner: str
    # By the version that each leads back from.
    downs: Mapping[int, Part] = field(default_factory=dict)

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
                yield from _migration(number, part)
        yield from self.laid_anew
        yield Part(
            "text",
            "insert into jobd.schema_text (folder, sha256) values ('sql', '" + self.sha256 + "')\n"
            "on conflict (folder) do update set sha256 = excluded.sha256, applied_at = clock_timestamp();",
        )

    def parts_down(self, version: int, target: int) -> Iterator[Part]:
        """What brings a database of this version back to an earlier one, in order; ask first whether it may."""
        yield Part("owner", f"set local role {self.owner};")
        for number in range(version, target, -1):
            note = f"delete from jobd.schema_version where version = {number};"
            yield Part(self.downs[number].name, f"{self.downs[number].sql}\n{note}")
        # Functions that the steps down left alone may be of either release: whichever migrates next lays its own.
        yield Part(
            "text", "update jobd.schema_text set sha256 = 'of a step down', applied_at = clock_timestamp();"
        )

    def script(self, version: int, environment: str | None = None) -> str:
        """The same as one script for psql, for administrators who apply changes themselves."""
        guard = _GUARD.format(version=version)
        body = "\n".join(f"-- {part.name}\n{part.sql.strip()}\n" for part in self.parts(version))
        if environment is not None:
            body += f"\n-- environment\ndo $$ begin perform jobd.record_environment('{environment}'); end $$;\n"
        begin = "\\set ON_ERROR_STOP on\nbegin;\nset local lock_timeout = '1s';\n"
        return f"{begin}{guard}\n{body}\nreset role;\ncommit;\n"


def _migration(number: int, part: Part) -> Iterator[Part]:
    """A migration and the note that it was applied; a contract step only where no daemon needs what it removes."""
    compatible_from = part.compatible_from
    if number < _KIND_SINCE:
        note = f"insert into jobd.schema_version (version, name) values ({number}, '{part.name}');"
    else:
        if compatible_from is not None:
            guard = _CONTRACT_GUARD.format(compatible_from=compatible_from, name=part.name)
            yield Part(f"guard of {part.name}", guard)
        least = "(select max(compatible_from) from jobd.schema_version)"
        note = (
            "insert into jobd.schema_version (version, name, compatible_from)\n"
            f"values ({number}, '{part.name}', {compatible_from or least});"
        )
    yield Part(part.name, f"{part.sql}\n{note}")


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
        _ = part.compatible_from  # says what is wrong with its first line
    rights = [part for part in _parts(root / "roles", role_prefix) if not part.name.endswith("/" + _ROLES_FILE)]
    return SchemaText(
        roles=_part(root / "roles" / _ROLES_FILE, role_prefix),
        values=tuple(_parts(root / "values", role_prefix)),
        migrations=tuple(migrations),
        laid_anew=(*(part for name in _LAID_ANEW for part in _parts(root / name, role_prefix)), *rights),
        owner=f"{role_prefix}owner",
        downs={
            int(part.name.removeprefix("down/")[:4]): part
            for part in _parts(root / "migrations" / "down", role_prefix)
        },
    )


def _parts(folder: Path, role_prefix: str) -> list[Part]:
    return [_part(path, role_prefix) for path in sorted(folder.glob("*.sql"))]


def _part(path: Path, role_prefix: str) -> Part:
    sql = path.read_text(encoding="utf-8")
    if role_prefix != DEFAULT_ROLE_PREFIX:
        sql = _ROLE_NAME.sub(role_prefix, sql)
    return Part(f"{path.parent.name}/{path.name}", sql)
