"""Setting a role up as a submitter: ``jobd grant ROLE``, run or printed.

The imports of a submitter run on a connection that is *authenticated* as a login of its own, so that code which
the owner of a target table attached to it gains nothing. This module makes that login's password where a secret
is set; the statements themselves are the database's (``sql/functions/submitter_statements.sql``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Connection

SCRAM_ITERATIONS = 4096
SCRAM_SALT_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitterGrant:
    """Who may submit, and from where; None means: whatever the daemon's own settings allow."""

    role: str
    import_roots: Sequence[str] | None = None
    export_roots: Sequence[str] | None = None
    source_prefixes: Sequence[str] | None = None


def login_password(secret: str, login_name: str) -> str:
    """Derive the password of a submitter's login; the daemon derives the same, so nobody has to store it."""
    return hmac.new(secret.encode(), login_name.encode(), hashlib.sha256).hexdigest()


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """Turn a password (ASCII) into what the server stores of it, so that it is neither sent nor logged."""
    salt = secrets.token_bytes(SCRAM_SALT_BYTES) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"


async def grant_statements(connection: Connection, grant: SubmitterGrant, secret: str | None = None) -> list[str]:
    """List the statements that an administrator would run (``--sql``), in order, without running any."""
    statements = await connection.fetchval(
        "select jobd.submitter_statements($1, $2, $3, $4, $5)", *await _arguments(connection, grant, secret)
    )
    return [f"{statement};" for statement in statements]


async def grant_submitter(connection: Connection, grant: SubmitterGrant, secret: str | None = None) -> str:
    """Set the role up, or change its limits, and give the name of its login."""
    login_name = await connection.fetchval(
        "select jobd.grant_submitter($1, $2, $3, $4, $5)", *await _arguments(connection, grant, secret)
    )
    return str(login_name)


async def revoke_submitter(connection: Connection, role: str) -> bool:
    """Take the right to submit away again; False when the role did not have it."""
    return bool(await connection.fetchval("select jobd.revoke_submitter($1)", role))


async def _arguments(connection: Connection, grant: SubmitterGrant, secret: str | None) -> tuple[object, ...]:
    verifier = None
    if secret is not None:
        login_name = await connection.fetchval("select jobd.login_name($1)", grant.role)
        verifier = scram_verifier(login_password(secret, login_name))
    return (grant.role, grant.import_roots, grant.export_roots, grant.source_prefixes, verifier)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
