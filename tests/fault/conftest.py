from __future__ import annotations

import pytest

# Comparisons are made there, and should tell what differs.
pytest.register_assert_rewrite("tests.support.imports")
