"""What can be wrong with leaves, proofs and schemes.

    ProofError
    ├─ MalformedProofError    bytes that do not decode to a canonical proof
    ├─ InvalidLeafError       a leaf that no honest trie of the scheme can hold
    ├─ LeafOrderError         items that are not in strictly ascending key order
    ├─ MisplacedNodeError     a proof node that does not sit where the root says
    ├─ IncompleteRangeError   a proof that does not reach the range it claims
    ├─ RootMismatchError      everything is well formed and folds to another root
    ├─ MissingNodeError       a node that a proof should hold and does not
    ├─ UnknownSchemeError     no scheme of that name
    └─ UnorderedSchemeError   a scheme whose trie has another order than its keys

The classes say what is wrong, never who is to blame: the caller knows where the bytes came from.
"""

from __future__ import annotations


class ProofError(Exception):
    """Root of everything that `proofs` raises about its input."""


class MalformedProofError(ProofError):
    """Bytes or fields that are not a canonical proof, node or leaf run."""

    def __init__(self, reason: str, offset: int | None = None) -> None:
        self.reason = reason
        self.offset = offset
        super().__init__(reason if offset is None else f"{reason} (at byte {offset})")


class InvalidLeafError(ProofError):
    """A leaf that the scheme does not allow: key size, value form, or a leaf without its parent."""

    def __init__(self, key: bytes, reason: str) -> None:
        self.key = key
        self.reason = reason
        super().__init__(f"leaf {_short(key)}: {reason}")


class LeafOrderError(ProofError):
    """Two items that are equal, out of order, or one inside the other."""

    def __init__(self, key: bytes, previous: bytes) -> None:
        self.key = key
        self.previous = previous
        super().__init__(f"{_short(key)} does not come after {_short(previous)}")


class MisplacedNodeError(ProofError):
    """An opaque node whose claimed depth is not one below its parent's branch."""

    def __init__(self, key: bytes, depth: int, expected: int) -> None:
        self.key = key
        self.depth = depth
        self.expected = expected
        super().__init__(f"node at {_short(key)} claims depth {depth}; its neighbours put it at {expected}")


class IncompleteRangeError(ProofError):
    """Proof and leaves leave a gap, or the bounds are not where the trie branches."""

    def __init__(self, path: bytes, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"range at {_short(path)}: {reason}")


class RootMismatchError(ProofError):
    """The fold of everything offered is a root, and not the trusted one."""

    def __init__(self, expected: bytes, computed: bytes) -> None:
        self.expected = expected
        self.computed = computed
        super().__init__(f"root is {computed.hex()}, expected {expected.hex()}")


class MissingNodeError(ProofError):
    """A foreign proof does not hold a node on the path that it must open."""

    def __init__(self, path: bytes, node_hash: bytes) -> None:
        self.path = path
        self.node_hash = node_hash
        super().__init__(f"no node with hash {node_hash.hex()} at {_short(path)}")


class UnknownSchemeError(ProofError):
    """No commitment scheme of that name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known
        super().__init__(f"unknown scheme {name!r}; known: {', '.join(known)}")


class UnorderedSchemeError(ProofError):
    """The order of the scheme's trie is not the byte order of its keys, so that key ranges are no parts of it."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"scheme {name!r} cannot be mirrored: {reason}; write it over transformed keys")


def _short(key: bytes) -> str:
    """Hex of a key for a message: whole when short, else its start and size."""
    return f"0x{key.hex()}" if len(key) <= 64 else f"0x{key[:32].hex()}… ({len(key)} bytes)"
