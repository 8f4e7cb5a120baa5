"""The words of date patterns, PostgreSQL's and strptime's, as one list of tokens."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from jobd.errors import OptionError


class Part(StrEnum):
    """What a token stands for; the value is what messages call it."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    MINUTE = "minute"
    SECOND = "second"
    FRACTION = "fraction of a second"
    HALF = "AM or PM"
    ZONE = "zone"
    ZONE_MINUTE = "minutes of the zone"
    DAY_NAME = "day's name"
    BLANK = "blank"
    LITERAL = "literal"


class Token(NamedTuple):
    """One token. ``shape`` tells those of one part from each other; of a literal it is the text itself."""

    part: Part
    shape: str = ""


_BLANK = Token(Part.BLANK)
_OF_POSTGRESQL = {
    "YYYY": Token(Part.YEAR, "4"),
    "YY": Token(Part.YEAR, "2"),
    "MONTH": Token(Part.MONTH, "long"),
    "MON": Token(Part.MONTH, "short"),
    "MM": Token(Part.MONTH, "number"),
    "DAY": Token(Part.DAY_NAME),
    "DY": Token(Part.DAY_NAME),
    "DD": Token(Part.DAY),
    "HH24": Token(Part.HOUR, "24"),
    "HH12": Token(Part.HOUR, "12"),
    "HH": Token(Part.HOUR, "12"),
    "MI": Token(Part.MINUTE),
    "SS": Token(Part.SECOND),
    "MS": Token(Part.FRACTION, "3"),
    "US": Token(Part.FRACTION, "6"),
    "AM": Token(Part.HALF),
    "PM": Token(Part.HALF),
    "A.M.": Token(Part.HALF),
    "P.M.": Token(Part.HALF),
    "TZH": Token(Part.ZONE, "hour"),
    "TZM": Token(Part.ZONE_MINUTE),
    "TZ": Token(Part.ZONE, "name"),
    "OF": Token(Part.ZONE, "offset"),
    # As ISO 8601 has them; in front of anything else they would be letters like all others.
    "T": Token(Part.LITERAL, "T"),
    "Z": Token(Part.ZONE, "Z"),
    "FM": Token(Part.LITERAL, ""),
}
_OF_STRPTIME = {
    "Y": (_OF_POSTGRESQL["YYYY"],),
    "y": (_OF_POSTGRESQL["YY"],),
    "m": (_OF_POSTGRESQL["MM"],),
    "b": (_OF_POSTGRESQL["MON"],),
    "h": (_OF_POSTGRESQL["MON"],),
    "B": (_OF_POSTGRESQL["MONTH"],),
    "d": (_OF_POSTGRESQL["DD"],),
    "e": (_OF_POSTGRESQL["DD"],),
    "a": (_OF_POSTGRESQL["DY"],),
    "A": (_OF_POSTGRESQL["DAY"],),
    "H": (_OF_POSTGRESQL["HH24"],),
    "I": (_OF_POSTGRESQL["HH12"],),
    "M": (_OF_POSTGRESQL["MI"],),
    "S": (_OF_POSTGRESQL["SS"],),
    "f": (_OF_POSTGRESQL["US"],),
    "p": (_OF_POSTGRESQL["AM"],),
    "z": (_OF_POSTGRESQL["OF"],),
    "Z": (_OF_POSTGRESQL["TZ"],),
    "%": (Token(Part.LITERAL, "%"),),
    "n": (_BLANK,),
    "t": (_BLANK,),
}
_COMPOSED = {"F": "%Y-%m-%d", "D": "%m/%d/%y", "T": "%H:%M:%S", "R": "%H:%M"}

_WORDS = "|".join(sorted(map(re.escape, _OF_POSTGRESQL), key=len, reverse=True))
_POSTGRESQL = re.compile(
    rf'(?P<word>{_WORDS})|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<blank>\s+)|(?P<other>[^\W\d_]+|.)', re.IGNORECASE
)
_STRPTIME = re.compile(r"%[-_0]?(?P<letter>.)|(?P<blank>\s+)|(?P<other>.)", re.DOTALL)


def tokens(pattern: str) -> list[Token]:
    """The tokens of a pattern: of strptime's language when it contains %; raises OptionError for unknown words."""
    return _strptime(pattern) if "%" in pattern else _postgresql(pattern)


def _postgresql(pattern: str) -> list[Token]:
    found = []
    for each in _POSTGRESQL.finditer(pattern):
        word, quoted, blank, other = each.group("word", "quoted", "blank", "other")
        if word is not None:
            found.append(_OF_POSTGRESQL[word.upper()])
        elif quoted is not None:
            found.append(Token(Part.LITERAL, re.sub(r"\\(.)", r"\1", quoted)))
        elif blank is not None:
            found.append(_BLANK)
        elif other.isalpha():
            raise OptionError(
                f"option date_format: {pattern!r} contains {other!r}, which is none of "
                f"{', '.join(word for word in _OF_POSTGRESQL if len(word) > 1)}; letters that are meant as such "
                "stand in double quotes"
            )
        else:
            found.append(Token(Part.LITERAL, other))
    return found


def _strptime(pattern: str) -> list[Token]:
    found: list[Token] = []
    for each in _STRPTIME.finditer(pattern):
        letter, blank, other = each.group("letter", "blank", "other")
        if letter in _COMPOSED:
            found += _strptime(_COMPOSED[letter])
        elif letter is not None:
            if letter not in _OF_STRPTIME:
                known = ", ".join(f"%{each}" for each in (*_OF_STRPTIME, *_COMPOSED))
                raise OptionError(f"option date_format: {pattern!r} contains %{letter}, which is none of {known}")
            found += _OF_STRPTIME[letter]
        elif blank is not None:
            found.append(_BLANK)
        elif other == "%":
            raise OptionError(f"option date_format: {pattern!r} ends in the middle of a word")
        else:
            found.append(Token(Part.LITERAL, other))
    return found
