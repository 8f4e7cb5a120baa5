from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobd.sources import ReadOptions, Source, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Source]]:
    """Write bytes to a file and open it as a source; ``name`` and reading options by keyword."""
    sources: list[Source] = []

    def write_and_open(
        content: bytes, *, name: str = "file.csv", detected: dict[str, Any] | None = None, **options: Any
    ) -> Source:
        path = tmp_path / name
        path.write_bytes(content)
        source = open_source(str(path), roots=[tmp_path], options=ReadOptions(**options), detected=detected)
        sources.append(source)
        return source

    yield write_and_open
    for source in sources:
        source.close()
