"""The environment for programs that tests start: this one's, without anybody's settings of jobd."""

from __future__ import annotations

import os


def without_settings() -> dict[str, str]:
    """All variables but ``JOBD_*``, so that what a developer has set changes no test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JOBD_")}
