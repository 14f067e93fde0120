"""A database merged with a pending write log equals the dict that the write log would leave."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from flatdb import WriteLog
from flatdb.leaves import Leaves
from flatdb.overlay import overlay
from flatdb.store import LEAVES, Store
from tests.flatdb.leaf_model import after, keys, values, write_logs


@settings(max_examples=15)
@given(st.dictionaries(keys, values, max_size=20), st.lists(write_logs(1), min_size=1, max_size=8))
def test_overlay_is_the_model(leaves: dict[bytes, bytes], pending: list[WriteLog]) -> None:
    """Fails if a nested prefix resets the cursor, a prefix of all 0xff has an end, or a tie yields the old value."""
    with TemporaryDirectory() as folder, Store.create(Path(folder) / "rocksdb") as store:
        batch = store.batch()
        for key, value in leaves.items():
            batch.put(LEAVES, key, value)
        store.commit(batch)
        for write_log in pending:
            expected = sorted(after(leaves, write_log).items())
            assert list(overlay(Leaves(store).cursor(), write_log)) == expected
