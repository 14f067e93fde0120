"""What a commitment scheme must say, so that `fold` can do the rest.

A scheme is encodings only: which leaves are legal, and the reference of a leaf, of a branch and of the
root. It never sees more than one node at a time and keeps no state. Everything that depends on neighbours
(where keys part, which branch a node hangs under, what a range proof holds) is in `fold` and `range_proof`.

A *reference* is what a parent's slot holds for a child: a 32-byte hash, or, where the scheme inlines short
nodes, the encoding of the node itself (shorter than 32 bytes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from proofs.errors import UnorderedSchemeError
from proofs.path import Path

Write = tuple[bytes, bytes | None]
"""A put (key, value) or a delete (key, None)."""


class HashedValue(bytes):
    """The hash of a leaf's value, in the value's place: what a fold needs of a leaf where the scheme has `value_hash`.

    A type of its own, because bytes alone do not say which of the two they are. Only who computed the hash from the
    value, or keeps the two together, may make one; nothing that is decoded ever is one.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the layers above may rely on instead of asking for a scheme by name."""

    key_sizes: tuple[int, int]
    """Smallest and largest legal key, in bytes."""
    value_bytes_max: int
    """Largest legal value, in bytes."""
    order_preserving: bool = True
    """Whether the order of the trie is the byte order of the keys: a condition, because every key range must be a part
    of the trie. A chain whose trie has another order is refused (`check_order`); its scheme is written over keys that
    are stored under a transform."""
    additive: bool = False
    """Whether the root is a sum: then no chunk proves anything by itself, and all chunks together prove everything. A
    restore stages everything first, and convicts a peer only when replacing its one disputed chunk makes the total
    right."""
    code_digest: Callable[[bytes], bytes] | None = None
    """By which leaves name code blobs (32 bytes) that travel beside the state; None: they name none."""
    value_hash: Callable[[bytes], bytes] | None = None
    """By which a leaf commits to its value (32 bytes), where it does not commit to the value itself. Then `leaf` takes
    a HashedValue too, and a value whose hash is kept need not be read to fold it."""
    proof_encodings: tuple[str, ...] = ()
    """Encodings of the chain's own that open into our items, by name."""

    @property
    def chunk_proofs(self) -> bool:
        """Whether a range of leaves can be proven under the root by itself: chunks, proof reads, spines."""
        return not self.additive

    @property
    def subtree_cuts(self) -> bool:
        """Whether chunks can follow the shape of the trie: a sum has none."""
        return not self.additive

    @property
    def has_code(self) -> bool:
        """Whether leaves name code blobs."""
        return self.code_digest is not None


class Scheme(Protocol):
    """How one chain commits to its leaves. Implementations are immutable and thread-safe."""

    @property
    def name(self) -> str:
        """What the user calls it, and a Root records."""
        ...

    @property
    def path(self) -> Path:
        """How keys are read as digits."""
        ...

    @property
    def empty_root(self) -> bytes:
        """Root hash (32 bytes) of the state without leaves."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    def check_leaf(self, key: bytes, value: bytes) -> None:
        """Refuse a leaf that no honest trie holds.

        Raises:
            InvalidLeafError: the key's size or the value's form is not legal.
        """
        ...

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        """Reference of a leaf that hangs under a branch at `depth - 1` (depth 0: it is the whole trie)."""
        ...

    def value(self, key: bytes, value: bytes) -> bytes:
        """What the branch whose path is exactly `key` holds for this leaf."""
        ...

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        """Reference of a branch at `depth`, lifted along `key` to position `start` <= depth.

        `slots` has `path.radix(depth)` references or None; `value` is what `value()` gave, or None. At least
        two of them are present. `key` is any key below the branch.

        Raises:
            InvalidLeafError: the parts cannot belong together (a slot without its account, a storage root
                that is not the account's).
        """
        ...

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        """Reference at position `start` of a branch that is known only by its own reference at `depth`.

        Raises:
            MalformedProofError: the scheme's branches cannot be lifted unopened.
        """
        ...

    def root(self, ref: bytes) -> bytes:
        """Root hash (32 bytes) of the trie whose topmost node has reference `ref`."""
        ...

    def check_ref(self, ref: bytes) -> None:
        """Refuse a reference that no canonical trie holds: wrong size, empty, or sloppily encoded.

        Raises:
            MalformedProofError
        """
        ...

    def check_value(self, key: bytes, payload: bytes) -> None:
        """The same for what `value()` gives.

        Raises:
            MalformedProofError, InvalidLeafError
        """
        ...

    def implied_clears(self, writes: Iterable[Write]) -> list[bytes]:
        """Key prefixes that these writes clear by the chain's own rules, before the puts."""
        ...

    def code_hash(self, key: bytes, value: bytes) -> bytes | None:
        """Hash of the code blob that this leaf names, or None."""
        ...


def check_order(scheme: Scheme) -> None:
    """Refuse a scheme whose trie does not have the byte order of its keys: by what it declares, and by its path.

    The path is asked for the digits at which neighbours part, for all values of the first byte and of the last.

    Raises:
        UnorderedSchemeError
    """
    if not scheme.capabilities.order_preserving:
        raise UnorderedSchemeError(scheme.name, "it declares another order")
    smallest, largest = scheme.capabilities.key_sizes
    path, rest = scheme.path, bytes(min(max(smallest, 2), largest) - 1)
    values = [bytes((value,)) for value in range(256)]
    for low, high in pairwise(sorted({key for value in values for key in (value + rest, rest + value)})):
        depth = path.parting(low, high)
        if path.digit(low, depth) >= path.digit(high, depth):
            raise UnorderedSchemeError(scheme.name, f"its path puts key {low.hex()} behind {high.hex()}")
