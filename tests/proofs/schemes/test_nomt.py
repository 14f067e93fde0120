"""`nomt-blake3` and `nomt-sha2`: literal roots of the real implementation, and its node labels by definition."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import blake3
import pytest
from hypothesis import given, settings

from proofs import InvalidLeafError, MalformedProofError, get_scheme, leaf_items, state_root
from tests.properties.scheme_states import STATES

HASHERS: dict[str, Callable[[bytes], bytes]] = {
    "nomt-blake3": lambda data: blake3.blake3(data).digest(),
    "nomt-sha2": lambda data: hashlib.sha256(data).digest(),
}


def node(digest: Callable[[bytes], bytes], leaves: dict[str, bytes], depth: int = 0) -> bytes:
    """A subtree by definition, on keys as strings of bits: leaves are labelled 1, internal nodes 0."""
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        ((bits, value),) = leaves.items()
        bare, label = digest(int(bits, 2).to_bytes(32) + digest(value)), 0x80
    else:
        halves = [{bits: v for bits, v in leaves.items() if bits[depth] == side} for side in "01"]
        bare, label = digest(b"".join(node(digest, half, depth + 1) for half in halves)), 0
    return bytes([bare[0] % 128 + label]) + bare[1:]


@pytest.mark.parametrize("name", HASHERS)
def test_the_root_is_the_definitions(name: str) -> None:
    @settings(max_examples=60)
    @given(STATES[name])
    def run(state: list[tuple[bytes, bytes]]) -> None:
        expected = node(HASHERS[name], {f"{int.from_bytes(k):0256b}": v for k, v in state})
        assert state_root(get_scheme(name), leaf_items(state)) == expected

    run()


@pytest.mark.parametrize(("file", "filled_bytes"), [("add_remove_roots", 32), ("add_remove_roots_legacy", 16)])
def test_literal_roots(data: Path, file: str, filled_bytes: int) -> None:
    accounts = [bytes.fromhex(key) for key in json.loads((data / "nomt/account_paths_0_999.json").read_text())]
    roots = json.loads((data / f"nomt/{file}.json").read_text())["roots"]
    value = (1000).to_bytes(8, "little")
    for count, root in roots.items():
        keys = sorted(key[:filled_bytes].ljust(32, b"\0") for key in accounts[: int(count)])
        assert state_root(get_scheme("nomt-blake3"), leaf_items((key, value) for key in keys)).hex() == root
    assert len(roots) >= 10


@pytest.mark.parametrize("name", HASHERS)
def test_what_no_trie_holds_is_refused(name: str) -> None:
    scheme = get_scheme(name)
    for size in (0, 31, 33):
        with pytest.raises(InvalidLeafError):
            scheme.check_leaf(bytes(size), b"")
    for ref in (b"", bytes(32), b"\1" * 31, b"\1" * 33):
        with pytest.raises(MalformedProofError):
            scheme.check_ref(ref)
    with pytest.raises(MalformedProofError):
        scheme.check_value(bytes(4), b"\1" * 32)
