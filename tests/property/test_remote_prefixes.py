"""However a path is spelled, what is asked of the server lies inside the allowed prefix, or nothing is asked."""

from __future__ import annotations

import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from jobd.errors import SourceError
from jobd.sources.places.access import RemoteAccess, require_allowed
from jobd.sources.places.uri import parse_uri

ACCESS = RemoteAccess(allowed=("https://files.example.com/in/a b/", "s3://bucket/in/a b/"))
STEPS = "..|.|/|//|;|%2e|%2E|%2f|%252e|%252f|%5c|%255c|%|%2|%25|%00|?|in|x|a b|a%20b|é|%C3%A9|secret"
PIECES = st.sampled_from(STEPS.split("|"))
PATHS = st.lists(PIECES, max_size=12).map("".join)


def climbed(path: str) -> list[str]:
    """Where a server ends up that decodes a path as often as it can and takes every kind of step."""
    for _ in range(20):
        path = unquote(path)
    parts: list[str] = []
    for part in re.split(r"[/\\]+", path):
        step = part.partition(";")[0]
        if step == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return parts


@given(st.sampled_from(["https://files.example.com", "s3://bucket"]), st.sampled_from(["/in/a b/", "/"]), PATHS)
def test_no_spelling_leads_out_of_the_prefix(place: str, start: str, path: str) -> None:
    try:
        uri = parse_uri(f"{place}{start}{path}")
        require_allowed(uri, ACCESS, None)
    except SourceError:
        return
    assert climbed(uri.path)[:2] == ["in", "a b"]


@given(PATHS)
def test_the_one_spelling_is_its_own(path: str) -> None:
    try:
        uri = parse_uri(f"https://files.example.com/{path}")
    except SourceError:
        return
    again = parse_uri(f"{uri.origin}{uri.request_target}")
    assert again == uri


@given(st.text(alphabet="in/ab.%2eEfF\\;x", max_size=30))
def test_no_text_leads_out_of_the_prefix(path: str) -> None:
    try:
        uri = parse_uri(f"https://files.example.com/in/a b/{path}")
        require_allowed(uri, ACCESS, None)
    except SourceError:
        return
    assert climbed(uri.path)[:2] == ["in", "a b"]
