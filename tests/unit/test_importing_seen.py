from __future__ import annotations

from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobd.importing import seen
from jobd.importing.seen import Seen

_digests = st.integers(0, 2**64 - 1) | st.integers(0, 20)


@given(
    st.lists(st.dictionaries(_digests, _digests, max_size=8), max_size=30),
    st.lists(_digests, max_size=20),
)
def test_it_remembers_the_last_record_of_each_key(batches: list[dict[int, int]], asked: list[int]) -> None:
    memory = Seen()
    expected: dict[int, int] = {}
    for batch in batches:
        memory.add(batch)
        expected |= batch
    found = memory.find(np.array(asked, np.uint64))
    assert found == {place: expected[key] for place, key in enumerate(asked) if key in expected}


def test_it_says_when_it_is_full_and_still_knows_what_it_knew() -> None:
    with mock.patch.object(seen, "KEYS_MAX", 10):
        memory = Seen()
        memory.add({key: key for key in range(8)})
        memory.add({key: 100 + key for key in range(8)})
        assert not memory.is_full
        memory.add({key: key for key in range(100, 110)})
        assert memory.is_full
        assert memory.find(np.array([3, 105], np.uint64)) == {0: 103}
