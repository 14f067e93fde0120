"""The hash functions give the same digests wherever they come from."""

from __future__ import annotations

import hashlib
import sys

import pytest

from proofs import hashing
from tests import model

# FIPS 202 pads differently: SHA3-256 of nothing is another value.
KECCAK_EMPTY = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
SHA512_256_EMPTY = "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a"
MESSAGES = [b"", b"a", bytes(135), bytes(136), bytes(1000)]


def test_known_digests() -> None:
    """Fails with SHA3-256 for Keccak-256, or with SHA-512 cut to 32 bytes for SHA-512/256."""
    assert hashing.keccak256(b"").hex() == KECCAK_EMPTY
    assert hashing.sha512_256(b"").hex() == SHA512_256_EMPTY


def test_keccak_with_and_without_safe_pysha3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the fallback is another function, or is not used where the first choice is absent."""
    assert [hashing.keccak256(message) for message in MESSAGES] == [model.keccak256(message) for message in MESSAGES]
    monkeypatch.setitem(sys.modules, "sha3", None)
    fallback, source = hashing._find_keccak()
    assert source == "pycryptodome"
    assert [fallback(message) for message in MESSAGES] == [hashing.keccak256(message) for message in MESSAGES]


def test_keccak_prefers_safe_pysha3() -> None:
    """Fails if the fast one is there and not taken."""
    pytest.importorskip("sha3")
    assert hashing._find_keccak()[1] == hashing.KECCAK_SOURCE == "safe-pysha3"


def test_sha512_256_without_openssl_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the fallback is not truncated the standard's way, or is not used where OpenSSL lacks it."""
    expected = [hashing.sha512_256(message) for message in MESSAGES]

    def absent(name: str, data: bytes = b"") -> None:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", absent)
    fallback = hashing._find_sha512_256()
    assert [fallback(message) for message in MESSAGES] == expected
