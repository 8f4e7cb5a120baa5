"""What lies inside quotes, told in bulk, is what counting the quotes one by one tells."""

from __future__ import annotations

from itertools import accumulate
from operator import xor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobd.sources.formats.inside import inside


@pytest.mark.parametrize("begins_inside", [False, True])
@given(is_quote=st.lists(st.booleans(), max_size=300), gap=st.integers(0, 200))
@example(is_quote=[], gap=0)
@example(is_quote=[True] * 64, gap=64)
@example(is_quote=[True], gap=63)
@example(is_quote=[True], gap=64)
def test_an_odd_number_of_quotes_is_inside(begins_inside: bool, is_quote: list[bool], gap: int) -> None:
    flags = [*is_quote, *[False] * gap, *is_quote]
    found = inside(np.array(flags, np.bool_), begins_inside=begins_inside)
    assert found.tolist() == [each ^ begins_inside for each in accumulate(flags, xor)]
