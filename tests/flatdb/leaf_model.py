"""The oracle: a dict of leaves, changed by the plainest reading of a write log; and random write logs for it."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from flatdb import WriteLog

Leaves = dict[bytes, bytes]

# Few letters, so that keys meet prefixes, prefixes nest, and the ends of the key space (empty, all 0xff) come up.
keys = st.lists(st.sampled_from([b"\x00", b"a", b"b", b"\xff"]), max_size=4).map(b"".join)
values = st.binary(max_size=3)


def write_logs(height: int) -> st.SearchStrategy[WriteLog]:
    """Valid write logs of a height, without roots."""
    return st.builds(
        lambda clear, writes, code: WriteLog(
            height, clear=tuple(sorted(clear)), writes=tuple(sorted(writes.items())), code=tuple(sorted(code.items()))
        ),
        clear=st.sets(keys, max_size=3),
        writes=st.dictionaries(keys, st.none() | values, max_size=8),
        code=st.dictionaries(st.binary(min_size=1, max_size=2), values, max_size=2),
    )


def after(leaves: Leaves, write_log: WriteLog) -> Leaves:
    """The leaves once `write_log` has been applied to `leaves`."""
    kept = {key: value for key, value in leaves.items() if not key.startswith(write_log.clear)}
    for key, value in write_log.writes:
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value
    return kept


def random_log(height: int, *, write_count: int = 40) -> WriteLog:
    """A write log that depends on its height alone, so that two processes agree on it without talking."""
    rng = Random(height)
    writes = {
        rng.randbytes(2): None if rng.random() < 0.3 else rng.randbytes(rng.choice((0, 3, 300)))
        for _ in range(write_count)
    }
    clear = {rng.randbytes(1) for _ in range(rng.randrange(3))}
    return WriteLog(
        height,
        clear=tuple(sorted(clear)),
        writes=tuple(sorted(writes.items())),
        code=((height.to_bytes(32, "big"), rng.randbytes(20)),),
    )


def random_states(height_count: int) -> list[Leaves]:
    """The leaves after heights 0, 1, ... of `random_log`."""
    states: list[Leaves] = []
    for height in range(height_count):
        states.append(after(states[-1] if states else {}, random_log(height)))
    return states
