"""check: every violation of a database's own rules. It reads everything and changes nothing.

Blocks are verified against their checksums on the way. Whether the leaves are the *right* leaves is not to be seen
here: that takes a fold and a trusted root.
"""

from __future__ import annotations

from collections.abc import Iterator

from flatdb.errors import DatabaseError, InvalidWriteLogError
from flatdb.leaves import Leaves
from flatdb.ledger import decode_record, decode_write_log
from flatdb.store import BLOBS, HEIGHTS, LEAVES, LOGS, RESTORE, UNDO, VALUE_HASHES, VALUES, Store
from flatdb.types import KEY_BYTES_MAX, HeightRecord, ValuesApart, Violation, WriteLog

__all__ = ["check_store"]


def check_store(store: Store, *, records_kept: int, apart: ValuesApart | None = None) -> Iterator[Violation]:
    """Yield what is wrong with a mirror as of this call; nothing if it is sound. Memory: the kept records.

    `apart`: what the hashes of values that are kept apart are; without it they are not compared.
    """
    records: dict[int, HeightRecord] = {}
    yield from _guarded(HEIGHTS, _check_records(store, records, records_kept))
    yield from _guarded(LOGS, _check_logs(store, records))
    yield from _guarded(LEAVES, _check_leaves(store))
    yield from _guarded(VALUES, _check_values(store, apart))
    yield from _guarded(BLOBS, _check_blobs(store))
    for family in (RESTORE, UNDO):
        yield from _guarded(family, _check_empty(store, family))


def _guarded(family: str, findings: Iterator[Violation]) -> Iterator[Violation]:
    """A damaged block ends the check of its own family only."""
    try:
        yield from findings
    except DatabaseError as error:
        yield Violation(family, str(error))


def _check_records(store: Store, records: dict[int, HeightRecord], records_kept: int) -> Iterator[Violation]:
    for key, value in store.items(HEIGHTS):
        try:
            record = decode_record(key, value)
        except ValueError as error:
            yield Violation(HEIGHTS, str(error))
        else:
            records[record.height] = record
    if len(records) > records_kept:
        yield Violation(HEIGHTS, f"{len(records)} height records, at most {records_kept} are kept")


def _check_logs(store: Store, records: dict[int, HeightRecord]) -> Iterator[Violation]:
    """Each kept write log belongs to a record; only the oldest record, a restored one, may lack its write log."""
    logged: set[int] = set()
    last: WriteLog | None = None
    for key, encoded in store.items(LOGS):
        try:
            write_log = decode_write_log(key, encoded)
        except InvalidWriteLogError as error:
            yield Violation(LOGS, f"key {key.hex()}: {error.entry}: {error.reason}")
            continue
        yield from _check_claim(write_log, records)
        if last is not None:
            yield from _check_parent(write_log, records.get(last.height))
        logged.add(write_log.height)
        last = write_log
    for height in sorted(records)[1:]:
        if height not in logged:
            yield Violation(LOGS, f"height {height} has a record and no write log")
    if last is not None and last.height == max(records, default=None):
        yield from _check_applied(store, Leaves(store), last)


def _check_claim(write_log: WriteLog, records: dict[int, HeightRecord]) -> Iterator[Violation]:
    record = records.get(write_log.height)
    if record is None:
        yield Violation(LOGS, f"height {write_log.height} has a write log and no record")
    elif write_log.root is not None and write_log.root != record.root:
        yield Violation(LOGS, f"height {write_log.height} has one root in its write log and another in its record")


def _check_parent(write_log: WriteLog, before: HeightRecord | None) -> Iterator[Violation]:
    if before is None or before.root is None or write_log.parent_root is None:
        return
    if write_log.parent_root != before.root:
        yield Violation(LOGS, f"height {write_log.height} does not begin at the root of height {before.height}")


def _check_applied(store: Store, leaves: Leaves, write_log: WriteLog) -> Iterator[Violation]:
    """What the last write log wrote is what the leaves hold (`expand` adds, it never takes a write away)."""
    for key, value in write_log.writes:
        if leaves.get(key) != value:
            yield Violation(LEAVES, f"key {key.hex()} is not as height {write_log.height} left it")
    for digest, blob in write_log.code:
        if store.get(BLOBS, digest) != blob:
            yield Violation(BLOBS, f"blob {digest.hex()} is not as height {write_log.height} left it")


def _check_leaves(store: Store) -> Iterator[Violation]:
    for key, _ in store.items(LEAVES):
        if len(key) > KEY_BYTES_MAX:
            yield Violation(LEAVES, f"a key of {len(key)} bytes, at most {KEY_BYTES_MAX} are legal")


def _check_values(store: Store, apart: ValuesApart | None) -> Iterator[Violation]:
    """Every value that is kept apart lies beside its hash, and nowhere else; `apart` says what its hash is."""
    hashes = store.items(VALUE_HASHES)
    expected = next(hashes, None)
    for key, value in store.items(VALUES):
        while expected is not None and expected[0] < key:
            yield Violation(VALUE_HASHES, f"key {expected[0].hex()} has a hash and no value")
            expected = next(hashes, None)
        if expected is None or expected[0] != key:
            yield Violation(VALUES, f"key {key.hex()} has a value and no hash")
        else:
            if apart is not None and apart.hash(value) != expected[1]:
                yield Violation(VALUES, f"key {key.hex()} has a value of another hash")
            expected = next(hashes, None)
        if store.get(LEAVES, key) is not None:
            yield Violation(LEAVES, f"key {key.hex()} has a second value, kept apart")
    while expected is not None:
        yield Violation(VALUE_HASHES, f"key {expected[0].hex()} has a hash and no value")
        expected = next(hashes, None)


def _check_blobs(store: Store) -> Iterator[Violation]:
    for digest, _ in store.items(BLOBS):
        if not digest:
            yield Violation(BLOBS, "a blob without a hash")


def _check_empty(store: Store, family: str) -> Iterator[Violation]:
    for key, _ in store.items(family):
        yield Violation(family, f"key {key.hex()} has no place in a mirror")
