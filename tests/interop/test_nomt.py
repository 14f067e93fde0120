"""A real NOMT database beside our scheme: every root, its proofs under our verifier, ours under its.

Builds the small Rust program in `nomt/` where cargo and the crates can be had, else skips and says why.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from proofs import SCHEMES, leaf_items, state_root
from proofs.nomt_proof import MultiProof, PathProof, prove_path, verify_path, verify_paths
from proofs.schemes.nomt import NOMT

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent / "nomt"
HASHERS = {"nomt-blake3": "blake3", "nomt-sha2": "sha2"}


@pytest.fixture(scope="module")
def program() -> Path:
    """The compiled program."""
    if shutil.which("cargo") is None:
        pytest.skip("no cargo here: the NOMT crate cannot be built")
    target = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
    build = subprocess.run(
        ["cargo", "build", "--release", "--locked", "--target-dir", str(target)],
        cwd=PROJECT, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    if build.returncode and "failed to" in build.stderr and ("download" in build.stderr or "registry" in build.stderr):
        pytest.skip("the crates cannot be had here")
    assert not build.returncode, build.stderr
    return target / "release" / "nomt-interop"


class Database:
    """The program, one request at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@pytest.fixture(params=HASHERS)
def pair(request: pytest.FixtureRequest, program: Path, tmp_path: Path) -> Iterator[tuple[NOMT, Database]]:
    """Our scheme and a fresh database with the same hasher."""
    command = [str(program), HASHERS[request.param], str(tmp_path / "db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        scheme = SCHEMES[request.param]
        assert isinstance(scheme, NOMT)
        yield scheme, Database(process)


def draw_key(rng: Random, known: list[bytes]) -> bytes:
    """Mostly random keys; some share a long start with a known one, up to their last bit."""
    if known and rng.random() < 0.4:
        near = int.from_bytes(rng.choice(known)) ^ 1 << min(255, int(rng.expovariate(1 / 60)))
        return near.to_bytes(32)
    return rng.randbytes(32)


def draw_write_log(rng: Random, state: dict[bytes, bytes]) -> dict[bytes, bytes | None]:
    known = sorted(state)
    writes: dict[bytes, bytes | None] = {}
    for _ in range(rng.randrange(1, 40)):
        if known and rng.random() < 0.3:
            writes[rng.choice(known)] = None
        else:
            size = rng.choice((0, 1, 32, 33, 1331, 1332, 1333, 5000))
            writes[draw_key(rng, known)] = rng.randbytes(size)
    if rng.random() < 0.3:
        writes[rng.randbytes(32)] = None
    return dict(sorted(writes.items()))


def apply(state: dict[bytes, bytes], writes: dict[bytes, bytes | None]) -> None:
    for key, value in writes.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


def hex_leaves(leaves: dict[bytes, bytes | None]) -> list[tuple[str, str | None]]:
    return [(key.hex(), None if value is None else value.hex()) for key, value in leaves.items()]


def root_of(scheme: NOMT, state: dict[bytes, bytes]) -> bytes:
    return state_root(scheme, leaf_items(sorted(state.items())))


def test_every_root_of_random_write_logs(pair: tuple[NOMT, Database], rng: Random) -> None:
    scheme, database = pair
    state: dict[bytes, bytes] = {}
    for _ in range(60):
        writes = draw_write_log(rng, state)
        apply(state, writes)
        assert database.ask(op="apply", writes=hex_leaves(writes))["root"] == root_of(scheme, state).hex()
    everything: dict[bytes, bytes | None] = dict.fromkeys(sorted(state))
    assert database.ask(op="apply", writes=hex_leaves(everything))["root"] == scheme.empty_root.hex()


def test_proofs_cross_over_both_ways(pair: tuple[NOMT, Database], rng: Random) -> None:
    scheme, database = pair
    state: dict[bytes, bytes] = {}
    for _ in range(12):
        writes = draw_write_log(rng, state)
        apply(state, writes)
        root = bytes.fromhex(database.ask(op="apply", writes=hex_leaves(writes))["root"])
        known = sorted(state)
        keys = [*rng.sample(known, min(6, len(known))), rng.randbytes(32), draw_key(rng, known)]
        asked = {key: state.get(key) for key in keys}
        check_paths(scheme, database, root, state, asked)


def check_paths(
    scheme: NOMT, database: Database, root: bytes, state: dict[bytes, bytes], asked: dict[bytes, bytes | None]
) -> None:
    ours = {key: prove_path(scheme, leaf_items(sorted(state.items())), key) for key in asked}
    # A multi-proof has each terminal once, in the order of their keys.
    by_terminal = {proof.terminal.key: key for key, proof in ours.items()}
    keys = [key for _, key in sorted(by_terminal.items())]
    theirs = database.ask(op="prove", keys=[key.hex() for key in keys])
    for key, encoded in zip(keys, theirs["proofs"], strict=True):
        decoded = PathProof.decode(bytes.fromhex(encoded))
        verified = verify_path(scheme, root, decoded)
        value = asked[key]
        assert verified.value_hash(key) == (None if value is None else scheme.digest(value))
        assert decoded.siblings == ours[key].siblings
        answer = database.ask(
            op="verify_path",
            proof=ours[key].encode().hex(),
            root=root.hex(),
            key=key.hex(),
            value=None if value is None else value.hex(),
        )
        assert answer == {"valid": True}
    joined = MultiProof.join([ours[key] for key in keys])
    multi = MultiProof.decode(bytes.fromhex(theirs["multi"]))
    assert multi.siblings == joined.siblings
    verified = verify_paths(scheme, root, multi)
    assert all(verified.value_hash(k) == (None if v is None else scheme.digest(v)) for k, v in asked.items())
    request = {"proof": joined.encode().hex(), "root": root.hex()}
    assert database.ask(op="verify_multi", leaves=hex_leaves(asked), **request) == {"valid": True}
    lie = {key: (b"another" if value is None else None) for key, value in asked.items()}
    assert database.ask(op="verify_multi", leaves=hex_leaves(lie), **request) == {"valid": False}
