"""Whether notifications really arrive: one connection listens, another one sends."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import anyio

from jobd.db.listen import ListeningConnection
from jobd.db.queries import query
from jobd.doctor.finding import ok, warning

if TYPE_CHECKING:
    from jobd.doctor.finding import Finding
    from jobd.doctor.patient import Patient

HEARING_SECONDS_MAX = 3.0
REMEDY = (
    "jobd then polls every JOBD_POLL_SECONDS, so work begins and stops late; let JOBD_NOTIFY_DATABASE_URL lead to "
    "the server itself, past any pooler"
)


async def listener(patient: Patient) -> list[Finding]:
    """A listener that hears."""
    if not patient.settings.notify:
        return [
            warning(
                "listener",
                "JOBD_NOTIFY is off: work begins and stops with the next poll only",
                "set JOBD_NOTIFY=on, unless the server cannot notify",
            )
        ]
    heard = anyio.Event()
    channel = f"jobd_doctor_{secrets.token_hex(6)}"
    try:
        listening = await ListeningConnection.open(
            patient.connector, lambda _: None, {channel: lambda _: heard.set()}
        )
    except Exception as error:  # noqa: BLE001  whatever it was, it is what is found
        return [warning("listener", f"the listening connection cannot be opened: {_reason(error)}", REMEDY)]
    try:
        await patient.connection.execute(query("daemon_echo"), channel, "")
        with anyio.move_on_after(HEARING_SECONDS_MAX):
            await heard.wait()
    finally:
        listening.close()
    if not heard.is_set():
        return [warning("listener", "a notification from a second connection was not heard", REMEDY)]
    return [ok("listener", "a notification from a second connection was heard")]


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
