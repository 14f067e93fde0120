"""Manifests: canonical, whole, and refused for every claim that cannot be true."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import cbor
from sync.errors import FormatError, OversizeError, UnsupportedFormatError
from sync.limits import Limits
from sync.manifest import RANGE, SUBTREE, CodeEntry, Cut, LeafEntry, Manifest, chunk_entries
from sync.root import Root

ROOT = Root("ethereum", "", b"\1", 9, b"\xaa" * 32)
CUT = Cut(RANGE, 100, 10_000)
LEAF = (
    LeafEntry(b"", 100, 9000, b"\1" * 32, 50, b"\2" * 32),
    LeafEntry(b"\x40", 1, 70_000, b"\3" * 32, 60, b"\4" * 32),
    LeafEntry(b"\x80\1", 2, 100, b"\5" * 32, 70, b"\6" * 32),
)
CODE = (CodeEntry(b"\x10" * 32, 3, 400, b"\7" * 32), CodeEntry(b"\x20" * 32, 1, 20_000, b"\x08" * 32))
MANIFEST = Manifest(ROOT, CUT, LEAF, CODE)
LIMITS = Limits()


def fields() -> Any:
    """The decoded manifest, free to be spoiled."""
    return cbor2.loads(MANIFEST.encoded)


def decode(value: object) -> Manifest:
    return Manifest.decode(cbor.encode(value), limits=LIMITS)


def test_a_manifest_comes_back() -> None:
    assert Manifest.decode(MANIFEST.encoded, limits=LIMITS) == MANIFEST
    assert MANIFEST.digest == sha256(MANIFEST.encoded).digest()
    assert (MANIFEST.leaf_count, MANIFEST.code_count) == (103, 4)
    assert MANIFEST.chunk_bytes == 9000 + 70_000 + 100 + 50 + 60 + 70 + 400 + 20_000
    assert [MANIFEST.end(index) for index in range(3)] == [b"\x40", b"\x80\1", None]
    assert chunk_entries(MANIFEST) == (*LEAF, *CODE)


def test_the_name_of_a_manifest_is_fixed_for_all_releases() -> None:
    """Fails when the format changes without its version: checkpoints published before would no longer be found."""
    assert MANIFEST.digest.hex() == "a7b73c58f3202f918dace03e2d9dabe0d3eec459b742bb29cd84aed961e277e5"


def test_the_empty_state_has_one_chunk_without_leaves() -> None:
    empty = Manifest(ROOT, CUT, (LeafEntry(b"", 0, 4, b"\1" * 32, 8, b"\2" * 32),))
    assert Manifest.decode(empty.encoded, limits=LIMITS) == empty


def _set(path: tuple[int, ...], value: object) -> Any:
    changed = fields()
    inner = changed
    for index in path[:-1]:
        inner = inner[index]
    inner[path[-1]] = value
    return changed


_ROOT, _CUT, _TOTALS, _LEAF, _CODE = 1, 2, 3, 4, 5

FORGERIES: dict[str, object] = {
    "no list": {"format_version": 1},
    "no fields": [],
    "no version": fields()[1:],
    "version is a bool": _set((0,), True),
    "a field too few": fields()[:-1],
    "a field too many": [*fields(), 0],
    "scheme is bytes": _set((_ROOT, 0), b"mkvs"),
    "scheme is no name": _set((_ROOT, 0), "../mkvs"),
    "root hash too short": _set((_ROOT, 4), b"\xaa" * 31),
    "height is negative": _set((_ROOT, 3), -1),
    "height is enormous": _set((_ROOT, 3), 1 << 20_000),
    "root is a map": _set((_ROOT,), {0: 1}),
    "unknown cut": _set((_CUT, 0), "random"),
    "cut of no leaves": _set((_CUT, 1), 0),
    "cut is enormous": _set((_CUT, 1), 1 << 20_000),
    "cut of text": _set((_CUT, 2), "10000"),
    "more leaves in total": _set((_TOTALS, 0), 104),
    "more code in total": _set((_TOTALS, 1), 5),
    "more bytes in total": _set((_TOTALS, 2), 1),
    "totals of floats": _set((_TOTALS, 0), 103.0),
    "no chunks": [*fields()[:3], [0, 4, 20_400], [], fields()[5]],
    "a chunk is a map": _set((_LEAF, 0), {}),
    "a chunk lacks its proof": _set((_LEAF, 0), fields()[4][0][:4]),
    "first bound is not the first key": _set((_LEAF, 0, 0), b"\0"),
    "bounds repeat": _set((_LEAF, 2, 0), b"\x40"),
    "bounds descend": _set((_LEAF, 2, 0), b"\x30"),
    "bound is null": _set((_LEAF, 2, 0), None),
    "count is a bool": _set((_LEAF, 1, 1), True),
    "count is negative": _set((_LEAF, 1, 1), -1),
    "digest too short": _set((_LEAF, 1, 3), b"\3" * 31),
    "proof digest too long": _set((_LEAF, 1, 5), b"\4" * 33),
    "code hash too short": _set((_CODE, 0, 0), b"\x10" * 31),
    "code in wrong order": _set((_CODE, 1, 0), b"\x05" * 32),
    "code repeated": _set((_CODE, 1, 0), b"\x10" * 32),
    "code digest is text": _set((_CODE, 1, 3), "08"),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_what_cannot_be_true_is_refused(forgery: object) -> None:
    with pytest.raises(FormatError):
        decode(forgery)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("leaf", {"leaf_count": 0, "run_size": 4}),
        ("leaf", {"leaf_count": 101}),
        ("leaf", {"run_size": 10_001}),
        ("leaf", {"run_size": 803}),
        ("leaf", {"proof_size": 0}),
        ("code", {"blob_count": 0}),
        ("code", {"run_size": 10_001}),
        ("code", {"run_size": 27}),
    ],
    ids=[
        "empty chunk",
        "over its cut",
        "over its byte cap",
        "run too small",
        "no proof",
        "no code",
        "code cap",
        "code run",
    ],
)
def test_numbers_that_contradict_each_other_are_refused(place: str, change: dict[str, int]) -> None:
    """The totals agree here, so that only the check named by the case can refuse."""
    if place == "leaf":
        forged = replace(MANIFEST, leaf_chunks=(replace(LEAF[0], **change), *LEAF[1:]))
    else:
        forged = replace(MANIFEST, code_chunks=(replace(CODE[0], **change), *CODE[1:]))
    with pytest.raises(FormatError):
        Manifest.decode(forged.encoded, limits=LIMITS)


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("manifest_bytes_max", len(MANIFEST.encoded) - 1),
        ("chunks_max", 4),
        ("leaves_max", 102),
        ("checkpoint_bytes_max", MANIFEST.chunk_bytes - 1),
        ("chunk_leaves_max", 99),
        ("chunk_bytes_max", 69_999),
        ("proof_bytes_max", 69),
    ],
)
def test_every_limit_is_held(limit: str, value: int) -> None:
    """Fails when a limit is not looked at, or is off by one."""
    with pytest.raises(OversizeError) as caught:
        Manifest.decode(MANIFEST.encoded, limits=replace(LIMITS, **{limit: value}))
    assert caught.value.limit == limit
    Manifest.decode(MANIFEST.encoded, limits=replace(LIMITS, **{limit: value + 1}))


def test_code_chunks_are_held_to_the_same_limits() -> None:
    for limit, change in [("chunk_bytes_max", {"run_size": 70_001}), ("chunk_leaves_max", {"blob_count": 101})]:
        forged = replace(MANIFEST, cut=Cut(RANGE, 100, 80_000), code_chunks=(replace(CODE[0], **change), CODE[1]))
        with pytest.raises(OversizeError) as caught:
            Manifest.decode(forged.encoded, limits=Limits(chunk_bytes_max=70_000, chunk_leaves_max=100))
        assert caught.value.limit == limit


@pytest.mark.parametrize("version", [0, 2, 1 << 40])
def test_other_versions_are_told_apart_from_damage(version: int) -> None:
    with pytest.raises(UnsupportedFormatError) as caught:
        decode(_set((0,), version))
    assert caught.value.found == version


@given(st.data())
def test_no_byte_can_change_and_mean_the_same(data: st.DataObject) -> None:
    """Fails when a second encoding of one manifest is accepted: it would have two names."""
    encoded = bytearray(MANIFEST.encoded)
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decoded = Manifest.decode(bytes(encoded), limits=LIMITS)
    except FormatError:
        return
    assert decoded != MANIFEST
    assert decoded.encoded == encoded


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_a_format_error(noise: bytes) -> None:
    with pytest.raises(FormatError):
        Manifest.decode(noise, limits=LIMITS)


def test_a_cut_is_sane() -> None:
    for kind, leaves, size in [("other", 1, 1), (RANGE, 0, 1), (SUBTREE, 1, 0)]:
        with pytest.raises(ValueError):
            Cut(kind, leaves, size)
    assert Cut(SUBTREE, 640).leaves_max == 660
    assert Cut(RANGE, 640).leaves_max == 640
