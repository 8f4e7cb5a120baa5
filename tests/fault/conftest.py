from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cutting_proxy import CuttingProxy, cutting_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.database import Database

# Comparisons are made there, and should tell what differs.
pytest.register_assert_rewrite("tests.support.imports", "tests.support.small_files")


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[CuttingProxy]:
    """The network between the database and daemons that are told to go through it."""
    async with cutting_proxy(database) as proxy:
        yield proxy
