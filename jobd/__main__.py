"""``python -m jobd`` is the command line."""

from __future__ import annotations

from jobd.cli import main

if __name__ == "__main__":
    main()
