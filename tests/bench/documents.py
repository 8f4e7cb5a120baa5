"""Documents as a vulnerability database publishes them: one JSON object a file, all in one zip.

An identity, times, aliases, a summary, some paragraphs of text and what is affected, in nested arrays: 2 to 4 KB
each, always the same ones.
"""

from __future__ import annotations

import json
import random
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 4_291
_TEXT = (
    "an attacker can cause the server to allocate memory without bound by sending a crafted request whose header "
    "names a long list of values; the parser did not check the length before it copied them, so that denial "
    "of service is possible where untrusted input reaches `Decode`, and signatures over \u201cempty\u201d ones "
    "were accepted by the verifier, which applications using only the default options are not affected by"
)
_WORDS = _TEXT.split()
_PLACES = ("net/http", "crypto/x509", "encoding/json", "archive/zip", "go/build", "html/template", "math/big")


def document(number: int) -> dict[str, Any]:
    """The document of this number, counted from 0."""
    choice = random.Random(number)  # noqa: S311  the same documents every time, no secret
    year, identity = 2020 + number % 7, f"XX-{2020 + number % 7}-{number:05d}"
    month, day = 1 + number % 12, 1 + number % 28
    return {
        "schema_version": "1.3.1",
        "id": identity,
        "modified": f"{year + 1}-{month:02d}-{day:02d}T15:04:05Z",
        "published": f"{year}-{month:02d}-{day:02d}T21:17:42Z",
        "aliases": [f"CVE-{year}-{choice.randrange(10_000, 99_999)}" for _ in range(choice.randint(1, 3))],
        "summary": " ".join(choice.choices(_WORDS, k=10)),
        "details": "\n\n".join(" ".join(choice.choices(_WORDS, k=60)) for _ in range(choice.randint(1, 4))),
        "affected": [_affected(choice) for _ in range(choice.randint(1, 3))],
        "references": [
            {"type": "WEB", "url": f"https://example.org/{identity.lower()}/{choice.getrandbits(160):040x}"}
            for _ in range(choice.randint(2, 6))
        ],
        "database_specific": {"url": f"https://example.org/vuln/{identity}", "review_status": "REVIEWED"},
    }


def write_zip(path: Path) -> None:
    """Write all of them, unless the file is there already."""
    if path.exists():
        return
    unfinished = path.with_name(path.name + ".unfinished")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(COUNT):
            one = document(number)
            archive.writestr(f"{one['id']}.json", json.dumps(one, indent=1))
    unfinished.rename(path)


def _affected(choice: random.Random) -> dict[str, Any]:
    place = choice.choice(_PLACES)
    minor = choice.randint(10, 25)
    return {
        "package": {"name": place, "ecosystem": "Go"},
        "ranges": [
            {
                "type": "SEMVER",
                "events": [{"introduced": f"1.{minor}.0-0"}, {"fixed": f"1.{minor}.{choice.randint(1, 12)}"}],
            }
        ],
        "ecosystem_specific": {
            "imports": [
                {"path": place, "symbols": [f"Decoder.{word.title()}" for word in choice.choices(_WORDS, k=6)]}
            ]
        },
    }
