"""Two things at once: what comes of both, and of which an error is told."""

from __future__ import annotations

import threading

import pytest
from anyio import to_thread

from jobd.importing.beside import beside


async def test_both_run_at_the_same_time_and_give_what_they_found() -> None:
    met = threading.Barrier(2, timeout=10)

    def blocking() -> int:
        met.wait()
        return 1

    async def work() -> str:
        await to_thread.run_sync(met.wait)
        return "a"

    assert await beside(blocking, work) == (1, "a")


async def test_an_error_of_the_work_goes_first_as_it_is_and_the_thread_has_ended_by_then() -> None:
    ended: list[bool] = []
    begun = threading.Event()

    def blocking() -> None:
        begun.wait(10)
        ended.append(True)
        raise KeyError("the other")

    async def work() -> None:
        begun.set()
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        await beside(blocking, work)
    assert ended


async def test_an_error_of_the_thread_is_told_when_the_work_is_done() -> None:
    done: list[bool] = []

    def blocking() -> None:
        raise KeyError("the other")

    async def work() -> None:
        done.append(True)

    with pytest.raises(KeyError, match="the other"):
        await beside(blocking, work)
    assert done
