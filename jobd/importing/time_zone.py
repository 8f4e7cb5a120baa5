"""The zone of times without one: known to the server, and set for each batch's transaction."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from jobd.db.queries import query
from jobd.errors import OptionError

if TYPE_CHECKING:
    import asyncpg

_OFFSET = re.compile(r"([+-])([0-9]{1,2})(?::?([0-9]{2}))?")
_HOURS_MAX = 15


async def known_time_zone(connection: asyncpg.Connection, stated: str) -> str:
    """What the server calls a zone, or an offset east of Greenwich; raises OptionError for one that is neither.

    PostgreSQL would take almost any text for a zone, and the sign of UTC+2 for the opposite.
    """
    offset = _OFFSET.fullmatch(stated)
    if offset is not None:
        sign, hours, minutes = offset[1], int(offset[2]), int(offset[3] or 0)
        if hours <= _HOURS_MAX and minutes < 60:
            opposite = "-" if sign == "+" else "+"
            return f"<{sign}{hours:02}:{minutes:02}>{opposite}{hours:02}:{minutes:02}"
    name = await connection.fetchval(query("import_time_zone"), stated)
    if name is not None:
        return str(name)
    names = [row["name"] for row in await connection.fetch(query("import_time_zone_names"))]
    by_form = {form: name for name in names for form in (name.lower(), name.rpartition("/")[2].lower())}
    near = difflib.get_close_matches(stated.lower().replace(" ", "_"), by_form, 3, 0.6)
    hint = f"; nearest: {', '.join(dict.fromkeys(by_form[form] for form in near))}" if near else ""
    raise OptionError(
        f"option time_zone: the server knows no zone {stated!r}{hint}. Give a name such as Europe/Berlin, or an "
        "offset such as +02:00, east of Greenwich"
    )


async def set_time_zone(connection: asyncpg.Connection, name: str) -> None:
    """Set the zone until the open transaction ends."""
    await connection.execute(query("import_set_time_zone"), name)
