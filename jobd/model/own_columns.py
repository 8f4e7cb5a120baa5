"""Columns that jobd adds to refused records written down for people; every import passes over them."""

from __future__ import annotations

OWN_PREFIX = "_jobd_"
ROW = "_jobd_row"
LINE = "_jobd_line"
FILE = "_jobd_file"
FIELD = "_jobd_field"
REASON = "_jobd_reason"
CODE = "_jobd_code"
# Of a record that did not fit into its columns: how many of them are filled all the same, and the record whole.
FILLED = "_jobd_filled"
RECORD = "_jobd_record"
OWN_COLUMNS = frozenset({ROW, LINE, FIELD, REASON, FILE, CODE, FILLED, RECORD})


def is_own(name: str) -> bool:
    """Whether a column is one of jobd's own."""
    return name.strip().casefold().startswith(OWN_PREFIX)
