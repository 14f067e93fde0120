"""Proofs of single leaves: every key of a small key space, present or absent, under the root alone."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from flatdb import WriteLog
from proofs import RootMismatchError, verify_range
from sidecar.leaf_proof import prove_leaf
from sync.mirror import Mirror

# Gaps of every width between them, and keys that begin with other keys.
KEYS = (b"\x00", b"\x03", b"\x03\x80", b"\x10", b"\x11", b"\x12\x00", b"\x7f", b"\xf0", b"\xff\xff")


@pytest.fixture(params=["mkvs", "mpt"])
def mirror(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mirror]:
    with Mirror.create(tmp_path / "mirror", scheme=request.param) as mirror:
        mirror.apply(WriteLog(height=1, writes=tuple((key, b"v" + key) for key in KEYS)))
        yield mirror


def test_every_key_is_proven_present_or_absent(mirror: Mirror) -> None:
    """Fails if the neighbour whose range holds the key is chosen by the keys' order alone."""
    root = mirror.root().hash
    asked = [
        bytes(digits)
        for size in (1, 2)
        for digits in product((0, 1, 3, 16, 17, 18, 64, 127, 128, 240, 255), repeat=size)
    ]
    for key in [*asked, b""]:
        proof, run = prove_leaf(mirror, key, root)
        assert len(run) == 1
        expected = b"v" + key if key in KEYS else None
        assert verify_range(mirror.scheme, root, proof, run).get(key) == expected


def test_runs_are_joined(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with runs of two leaves, so that frontiers are joined many times."""
    monkeypatch.setattr("sidecar.leaf_proof.RUN_LEAVES", 2)
    root = mirror.root().hash
    for key in KEYS:
        assert verify_range(mirror.scheme, root, *prove_leaf(mirror, key, root)).get(key) == b"v" + key


def test_an_empty_state(tmp_path: Path) -> None:
    with Mirror.create(tmp_path / "empty", scheme="mkvs") as mirror:
        root = mirror.root().hash
        assert verify_range(mirror.scheme, root, *prove_leaf(mirror, b"k", root)).get(b"k") is None


def test_another_root_is_refused(mirror: Mirror) -> None:
    with pytest.raises(RootMismatchError):
        prove_leaf(mirror, KEYS[0], bytes(32))
