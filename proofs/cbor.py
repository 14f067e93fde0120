"""Canonical CBOR, both ways: the only form in which our own formats exist.

Canonical is RFC 8949 section 4.2.1 as cbor2 writes it (shortest lengths, sorted maps). A decoder accepts
exactly what the encoder would write: the decoded value is encoded again and compared.
"""

from __future__ import annotations

from typing import Any

import cbor2

from proofs.errors import MalformedProofError


def encode(value: Any) -> bytes:
    """Canonical CBOR of plain values: int, bytes, str, bool, None, list, tuple, dict."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, *, size_max: int) -> Any:
    """The one value in `data`.

    Raises:
        MalformedProofError: more than `size_max` bytes, not CBOR, not canonical, or bytes behind the value.
    """
    if len(data) > size_max:
        raise MalformedProofError(f"{len(data)} bytes of CBOR; at most {size_max} are read")
    try:
        value = cbor2.loads(data)
        again = encode(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedProofError(f"not CBOR: {error}") from error
    if again != data:
        raise MalformedProofError("CBOR that is not canonical, or bytes behind the value")
    return value
