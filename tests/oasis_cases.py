"""States and answers recorded from the real Oasis Core, and random states of the kinds that break tries."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from proofs.oasis.messages import STATE, Metadata, OasisRoot
from proofs.oasis.tree import Node, Tree, build

Pair = tuple[bytes, bytes]
NAMESPACE = bytes.fromhex("8000000000000000b15dd595b9586a22365545fe752ca8a1fd0d0040a5774eea")


@cache
def reference_cases(data: Path) -> list[dict[str, Any]]:
    with gzip.open(data / "oasis/reference-cases.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


@cache
def vectors(data: Path) -> dict[str, dict[str, Any]]:
    found = json.loads((data / "oasis/vectors.json").read_text())["vectors"]
    return {vector["id"]: vector for vector in found}


@cache
def regression(data: Path) -> tuple[list[Pair], bytes]:
    """The pairs of the reference's regression test, sorted, and their root."""
    with gzip.open(data / "oasis/regression-n1000.json.gz", "rt") as file:
        found = json.load(file)
    state = {bytes.fromhex(key): bytes.fromhex(value) for key, value in found["kv"]}
    return sorted(state.items()), bytes.fromhex(found["root"])


def apply_ops(ops: list[list[str]], decode: Callable[[str], bytes] = bytes.fromhex) -> list[Pair]:
    """Leaves after ["i", key, value] and ["r", key], in key order."""
    state: dict[bytes, bytes] = {}
    for kind, key, *value in ops:
        if kind == "i":
            state[decode(key)] = decode(value[0])
        else:
            state.pop(decode(key), None)
    return sorted(state.items())


def trie_test(path: Path) -> tuple[list[Pair], list[tuple[bytes, bytes]]]:
    """Leaves after one of the reference's operation sequences, and the (key, value) that it reads back."""
    steps = json.loads(path.read_text())
    ops = [
        ["i", step.get("key", ""), step.get("value", "")] if step["op"] == "Insert" else ["r", step.get("key", "")]
        for step in steps
        if step["op"] in ("Insert", "Remove")
    ]
    gets = [
        (base64.b64decode(step["key"]), base64.b64decode(step.get("value", "")))
        for step in steps
        if step["op"] == "Get"
    ]
    return apply_ops(ops, base64.b64decode), gets


def numbered(count: int, key: str = "key {}", value: str = "value {}") -> list[Pair]:
    return sorted((key.format(i).encode(), value.format(i).encode()) for i in range(count))


def tree_of(pairs: list[Pair], *, stub_leaves: int = 0) -> Tree:
    """A tree over a list; with `stub_leaves`, subtrees are folded away and read back."""
    keys = [key for key, _ in pairs]

    def read(first: bytes, count: int) -> list[Pair]:
        at = keys.index(first)
        return pairs[at : at + count]

    return Tree(build(pairs, stub_leaves=stub_leaves), read)


def root_of(pairs: list[Pair], *, version: int = 1, root_type: int = STATE, namespace: bytes = NAMESPACE) -> OasisRoot:
    return OasisRoot(namespace, version, root_type, Tree(build(pairs)).root_hash)


def nodes_of(root: Node | None) -> list[Node]:
    """Every node of a whole tree, parents first."""
    if root is None:
        return []
    below = (getattr(root, side, None) for side in ("leaf", "left", "right"))
    return [root, *(node for child in below for node in nodes_of(child))]


def random_state(rng: random.Random, kind: str, count: int, *, big_values: bool = False) -> list[Pair]:
    """Leaves in key order, of a kind that exercises some edge of the trie or of the block format."""
    keys: set[bytes] = set()
    while len(keys) < count:
        if kind == "uniform":
            keys.add(rng.randbytes(rng.choice((4, 20, 32))))
        elif kind == "nested":  # each key a prefix of the next: deeper than 129 levels
            long = bytes(rng.choices(b"\0\x80\xffk", k=max(count, 140)))
            keys |= {long[:size] for size in range(count)}
        elif kind == "modules":
            keys.add(bytes([rng.choice((1, 1, 1, 1, 2, 9))]) + rng.randbytes(rng.choice((0, 1, 2, 8))))
        else:  # "edges": few bits, many lengths, the empty key among them
            keys.add(bytes(rng.choices(b"\0\x01\x80\xff", k=rng.randrange(6))))
    sizes = (0, 1, 30, 200, 65535, 65536, 65537, 1 << 20) if big_values else (0, 1, 30, 200)
    weights = (4, 4, 8, 2, 0.1, 0.1, 0.1, 0.05)[: len(sizes)]
    return [(key, _value(rng, rng.choices(sizes, weights)[0])) for key in sorted(keys)]


def _value(rng: random.Random, size: int) -> bytes:
    return rng.randbytes(size) if rng.random() < 0.5 else (b"leaf %d " % rng.randrange(9) * size)[:size]


def write_checkpoint(directory: Path, metadata: Metadata, chunks: list[bytes]) -> None:
    """A checkpoint as a node lays it out."""
    path = directory / str(metadata.root.version) / metadata.root.hash.hex()
    (path / "chunks").mkdir(parents=True)
    for index, chunk in enumerate(chunks):
        (path / "chunks" / str(index)).write_bytes(chunk)
    (path / "meta").write_bytes(metadata.encode())
