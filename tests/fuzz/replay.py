"""Read a case again that was written down: `python -m tests.fuzz.replay .fuzz/text`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzz.case import Case
from tests.fuzz.reading import check, early_ratio


def main() -> None:
    """Print the case and what comes of it, or fail as it failed."""
    case = Case.load(Path(sys.argv[1]))
    print(case)
    with early_ratio():
        print(check(case))


if __name__ == "__main__":
    main()
