"""What a chunk is called: its digest, over its kind and the digests of its canonical parts.

Apart from `chunk`, which reads and writes the parts, because a manifest names chunks and never looks into them.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

__all__ = ["CHUNK_FORMAT", "CODE_CHUNK", "LEAF_CHUNK", "chunk_digest"]

CHUNK_FORMAT: Final = 1
LEAF_CHUNK: Final = 1
CODE_CHUNK: Final = 2


def chunk_digest(kind: int, run_digest: bytes, proof_digest: bytes | None) -> bytes:
    """SHA-256 of format, kind, and the SHA-256 digests of run and proof (a code chunk has no proof)."""
    return sha256(bytes((CHUNK_FORMAT, kind)) + run_digest + (proof_digest or b"")).digest()
