"""The external sorter against `sorted`, with memory for one record, a few, and all."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.importers.external_sort import ExternalSorter

Records = st.lists(st.tuples(st.binary(max_size=2), st.binary(max_size=3)), max_size=150)


@pytest.mark.parametrize("memory_bytes_max", [1, 700, 1 << 20])
def test_it_sorts_and_keeps_the_order_of_equal_keys(tmp_path: Path, memory_bytes_max: int) -> None:
    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(Records)
    def run(records: list[tuple[bytes, bytes]]) -> None:
        with ExternalSorter(tmp_path, memory_bytes_max=memory_bytes_max) as sorter:
            for key, value in records:
                sorter.add(key, value)
            expected = sorted(records, key=itemgetter(0))
            assert list(sorter.sorted()) == expected
            assert list(sorter.sorted()) == expected

    run()
    assert not list(tmp_path.iterdir())
