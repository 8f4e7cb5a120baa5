"""URLs with several hosts: what each is asked with, in which order, and which answer counts."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import anyio
import pytest
from asyncpg.exceptions import TargetServerAttributeNotMatched

from jobd.db.hosts import Hosts, url_per_host

BOTH = "postgresql://me:secret@one:5432,two:6432/app?target_session_attrs=read-write"
ONE, TWO = url_per_host(BOTH)


class Answer:
    """Stands for a connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_terminated = False

    def terminate(self) -> None:
        self.is_terminated = True


@pytest.mark.parametrize(
    ("url", "urls"),
    [
        ("postgresql://h/app", ["postgresql://h/app"]),
        (
            "postgresql://me:p%40ss@a:1,[::1]:2,c/app?sslmode=require",
            [f"postgresql://me:p%40ss@{host}/app?sslmode=require" for host in ("a:1", "[::1]:2", "c")],
        ),
        (
            "postgresql:///app?host=a,b&port=1,2&user=me",
            [f"postgresql:/app?host={host}&port={port}&user=me" for host, port in (("a", 1), ("b", 2))],
        ),
        (
            "postgresql:///app?host=a,b&port=7",
            [f"postgresql:/app?host={host}&port=7" for host in ("a", "b")],
        ),
        ("postgresql:///app?host=/run/postgresql", ["postgresql:///app?host=/run/postgresql"]),
        (
            "postgresql://a,b/app?target_session_attrs=prefer-standby",
            ["postgresql://a,b/app?target_session_attrs=prefer-standby"],
        ),
    ],
)
def test_a_url_of_several_hosts_is_one_for_each(url: str, urls: list[str]) -> None:
    assert url_per_host(url) == urls


async def test_a_host_that_swallows_everything_does_not_keep_the_other_from_answering() -> None:
    asked: list[str] = []

    async def connect(url: str) -> Any:
        asked.append(url)
        if url == ONE:
            await anyio.sleep_forever()
        return Answer(url)

    moves: list[int] = []
    hosts = Hosts()
    hosts.on_moved = lambda: moves.append(len(asked))
    began_at = time.monotonic()
    assert (await hosts.connect(BOTH, connect, 60)).url == TWO  # type: ignore[attr-defined]
    assert time.monotonic() - began_at < 10, "long before the time-out"
    assert (await hosts.connect(BOTH, connect, 60)).url == TWO  # type: ignore[attr-defined]
    assert asked == [ONE, TWO, TWO], "the one that answered last is asked first"
    assert moves == [], "the first time nothing was connected elsewhere"


async def test_it_is_told_that_another_host_is_the_one_now_where_it_is_said_which_one_is_wanted() -> None:
    away: set[str] = set()

    async def connect(url: str) -> Any:
        if url in away:
            raise ConnectionRefusedError
        return Answer(url)

    moves: list[str] = []
    for url, told in ((BOTH, [BOTH]), ("postgresql://one,two/app", [BOTH])):
        hosts = Hosts()
        hosts.on_moved = partial(moves.append, url)
        await hosts.connect(url, connect, 60)
        away = {url_per_host(url)[0]}
        await hosts.connect(url, connect, 60)
        await hosts.connect(url, connect, 60)
        assert moves == told
        away = set()


async def test_without_a_word_on_which_one_is_wanted_the_first_has_its_share_of_the_time() -> None:
    async def connect(url: str) -> Any:
        await anyio.sleep(0.7 if "one" in url else 0)
        return Answer(url)

    found: Any = await Hosts().connect("postgresql://one,two/app", connect, 60)
    assert "one" in found.url


async def test_a_host_that_fails_is_followed_by_the_next_at_once() -> None:
    async def connect(url: str) -> Any:
        if url == ONE:
            raise ConnectionRefusedError
        return Answer(url)

    with anyio.fail_after(0.4):
        found: Any = await Hosts().connect(BOTH, connect, 60)
    assert found.url == TWO


async def test_where_none_answers_it_is_told_why_and_not_that_another_was_not_wanted() -> None:
    async def connect(url: str) -> Any:
        if url == ONE:
            raise TargetServerAttributeNotMatched("a standby")
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(ConnectionRefusedError):
        await Hosts().connect(BOTH, connect, 60)


async def test_of_two_that_answer_at_once_one_is_kept_and_the_other_closed() -> None:
    answers: list[Answer] = []
    both = anyio.Event()

    async def connect(url: str) -> Any:
        answers.append(Answer(url))
        if len(answers) == 2:
            both.set()
        with anyio.CancelScope(shield=True):
            await both.wait()
        return answers[0 if url == ONE else 1]

    found: Any = await Hosts().connect(BOTH, connect, 60)
    assert [answer.is_terminated for answer in answers if answer is not found] == [True]
    assert not found.is_terminated
