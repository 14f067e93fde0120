"""Schemes by name, and what each promises to the layers above."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs import SCHEMES, InvalidLeafError, Scheme, UnknownSchemeError, UnorderedSchemeError, get_scheme
from proofs.path import BitPath
from proofs.schemes import scheme_table
from proofs.schemes.jam import JAM
from proofs.schemes.mkvs import MKVS
from tests.model import MODELS
from tests.proofs.states import GENERATORS


def test_schemes_have_names() -> None:
    """Fails if a scheme is known under another name than its own."""
    assert {name: get_scheme(name).name for name in SCHEMES} == {name: name for name in SCHEMES}


@pytest.mark.parametrize("name", ["", "MKVS", "jam2", "mpt "])
def test_unknown_schemes(name: str) -> None:
    """Fails if a name is matched loosely."""
    with pytest.raises(UnknownSchemeError) as caught:
        get_scheme(name)
    assert caught.value.name == name
    assert caught.value.known == tuple(SCHEMES)


def test_every_tested_scheme_has_an_oracle() -> None:
    """Fails if generators are written for a scheme and its oracle is forgotten, or the other way round."""
    assert set(GENERATORS) == set(MODELS) <= set(SCHEMES)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_capabilities(name: str) -> None:
    """Fails if the promised key sizes are not those that are checked."""
    scheme = get_scheme(name)
    capabilities = scheme.capabilities
    smallest, largest = capabilities.key_sizes
    assert len(scheme.empty_root) == 32
    assert capabilities.has_code is (name == "ethereum")
    with pytest.raises(InvalidLeafError):
        scheme.check_leaf(bytes(largest + 1), b"\x01")
    if smallest:
        with pytest.raises(InvalidLeafError):
            scheme.check_leaf(bytes(smallest - 1), b"\x01")
    assert capabilities.value_bytes_max > 0


def test_a_sum_has_neither_proofs_nor_subtrees() -> None:
    """Fails if a capability that follows from another contradicts it."""
    for name in SCHEMES:
        capabilities = get_scheme(name).capabilities
        assert capabilities.chunk_proofs is capabilities.subtree_cuts is (name != "solana-lattice")


class LowBitFirst(BitPath):
    """The order of JAM's trie before Gray Paper 0.4: the least significant bit of each byte first."""

    def digit(self, key: bytes, depth: int) -> int:
        return key[depth >> 3] >> (depth & 7) & 1

    def parting(self, a: bytes, b: bytes) -> int:
        return next(depth for depth in range(8 * len(a)) if self.digit(a, depth) != self.digit(b, depth))


class LowBitFirstJAM(JAM):
    name = "jam-low-bit-first"
    path = LowBitFirst()


class LastByteFirst(BitPath):
    """Numbers with their least significant byte first."""

    def digit(self, key: bytes, depth: int) -> int:
        return super().digit(key[::-1], depth)

    def parting(self, a: bytes, b: bytes) -> int:
        return super().parting(a[::-1], b[::-1])


class LastByteFirstJAM(JAM):
    name = "jam-last-byte-first"
    path = LastByteFirst()


class DeclaredJAM(JAM):
    name = "jam-declared"
    capabilities = replace(JAM.capabilities, order_preserving=False)


@pytest.mark.parametrize("scheme", [LowBitFirstJAM(), LastByteFirstJAM(), DeclaredJAM()], ids=lambda one: one.name)
def test_a_trie_of_another_order_is_refused(scheme: Scheme) -> None:
    """Fails if a scheme gets into the table whose key ranges are no parts of its trie, declared or not."""
    with pytest.raises(UnorderedSchemeError) as caught:
        scheme_table(MKVS(), scheme)
    assert caught.value.name == scheme.name
    assert "transformed keys" in str(caught.value)


def test_no_ethereum_value_is_longer_than_promised() -> None:
    """Fails if the largest legal leaf exceeds what buffers above are sized for."""
    largest = b"\x88" + b"\xff" * 8 + b"\xa0" + b"\xff" * 32 + (b"\xa0" + b"\xfe" * 32) * 2
    account = b"\xf8" + bytes((len(largest),)) + largest
    scheme = get_scheme("ethereum")
    scheme.check_leaf(bytes(32), account)
    assert len(account) <= scheme.capabilities.value_bytes_max
