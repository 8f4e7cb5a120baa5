from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import asyncpg

    from tests.support.database import Database


@pytest.fixture
async def connection(empty_database: Database) -> asyncpg.Connection:
    """A session as a job gets it: it prepares no named statements."""
    return await empty_database.connect(statement_cache_size=0)
