"""What can go wrong while state travels, split by what the caller can do about it.

    SyncError
    ├─ FormatError                 bytes that are not what they should be; nobody is blamed
    │  ├─ UnsupportedFormatError   found, supported           → another release wrote them
    │  ├─ DigestMismatchError      expected, computed         → other bytes than announced
    │  └─ OversizeError            limit, allowed, seen       → refused before the work
    ├─ PeerError (peer)
    │  ├─ PeerUnavailableError     reason                     → back off, try another, come back
    │  ├─ PeerRefusedError         status, retry_after_s      → try another
    │  └─ PeerMisbehavedError      a proven lie               → never ask again
    │     ├─ InvalidManifestError  reason
    │     ├─ InvalidChunkError     index, reason
    │     └─ LimitExceededError    limit, seen
    ├─ CheckpointError
    │  ├─ CheckpointNotFoundError  name
    │  ├─ CheckpointExistsError    digest
    │  ├─ CheckpointCorruptError   name, reason
    │  ├─ CheckpointMismatchError  expected, computed         → the leaves are not those of the root
    │  ├─ InvalidStateError        reason                     → leaves that no state can hold
    │  ├─ CodeUnavailableError     code_hash, reason          → a leaf names code that is not there
    │  ├─ UnsupportedCutError      kind, scheme               → the scheme's trie has no such parts
    │  ├─ WorkerLostError          workers                    → a process was killed: try with fewer
    │  ├─ StoreLockedError         path
    │  └─ StoreAccessError         path, reason
    ├─ MirrorMismatchError         height, expected, computed → a write log whose root is not that of its leaves
    ├─ UnprovableError             start, end, reason         → no checkpoint or spine can answer within the limits
    └─ RestoreError
       ├─ NoPeersLeftError         peers
       ├─ RestoreMismatchError     expected, computed
       ├─ RestoreConflictError     path
       └─ NoSpaceError             path, needed, free       → nothing was fetched

Blame is assigned in one place: decoders raise FormatError and `proofs.ProofError` knowing nothing of peers; the
restore session alone turns them into PeerMisbehavedError.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "CheckpointCorruptError",
    "CheckpointError",
    "CheckpointExistsError",
    "CheckpointMismatchError",
    "CheckpointNotFoundError",
    "CodeUnavailableError",
    "DigestMismatchError",
    "FormatError",
    "InvalidChunkError",
    "InvalidManifestError",
    "InvalidStateError",
    "LimitExceededError",
    "MirrorMismatchError",
    "NoPeersLeftError",
    "NoSpaceError",
    "OversizeError",
    "PeerError",
    "PeerMisbehavedError",
    "PeerRefusedError",
    "PeerUnavailableError",
    "RestoreConflictError",
    "RestoreError",
    "RestoreMismatchError",
    "StoreAccessError",
    "StoreLockedError",
    "SyncError",
    "UnprovableError",
    "UnsupportedCutError",
    "UnsupportedFormatError",
    "WorkerLostError",
]


class SyncError(Exception):
    """Root of this package's errors. `hint` is what the operator should do next, or empty."""

    hint: str = ""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; {self.hint}" if self.hint else message)


class FormatError(SyncError, ValueError):
    """Bytes that are not a canonical chunk, manifest or spine. `what` names the thing, `reason` what is wrong."""

    def __init__(self, what: str, reason: str) -> None:
        self.what = what
        self.reason = reason
        super().__init__(f"{what}: {reason}")


class UnsupportedFormatError(FormatError):
    """A format version that this release does not read."""

    hint = "use the leafmirror release that wrote it"

    def __init__(self, what: str, found: object, supported: tuple[int, ...]) -> None:
        self.found = found
        self.supported = supported
        super().__init__(what, f"format {found}; this release reads {', '.join(map(str, supported))}")


class DigestMismatchError(FormatError):
    """Bytes whose digest is not the one that was announced."""

    def __init__(self, what: str, *, expected: bytes, computed: bytes) -> None:
        self.expected = expected
        self.computed = computed
        super().__init__(what, f"digest is {computed.hex()}, expected {expected.hex()}")


class OversizeError(FormatError):
    """More than a limit allows; `limit` is the name of the field of Limits (or of what declared the size)."""

    def __init__(self, what: str, *, limit: str, allowed: int, seen: int) -> None:
        self.limit = limit
        self.allowed = allowed
        self.seen = seen
        super().__init__(what, f"{seen} is more than {limit} allows ({allowed})")


class PeerError(SyncError):
    """Something about one peer; `peer` is the name that the user gave it."""

    def __init__(self, peer: str, message: str) -> None:
        self.peer = peer
        super().__init__(f"{peer}: {message}")


class PeerUnavailableError(PeerError):
    """No connection, a timeout, a broken answer, or a fault on its side: worth another attempt later."""

    def __init__(self, peer: str, reason: str) -> None:
        self.reason = reason
        super().__init__(peer, reason)


class PeerRefusedError(PeerError):
    """The peer answered, and will not give this: it does not have it, or we ask too much."""

    def __init__(self, peer: str, status: int, retry_after_s: float | None = None) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(peer, f"refused with status {status}")


class PeerMisbehavedError(PeerError):
    """A proven lie. Never asked again."""


class InvalidManifestError(PeerMisbehavedError):
    """A manifest that no honest peer gives; `reason` from the decoder."""

    def __init__(self, peer: str, reason: str) -> None:
        self.reason = reason
        super().__init__(peer, f"invalid manifest: {reason}")


class InvalidChunkError(PeerMisbehavedError):
    """A chunk that is not what its manifest announces, or whose proof is wrong. `index` is its place."""

    def __init__(self, peer: str, index: int, reason: str) -> None:
        self.index = index
        self.reason = reason
        super().__init__(peer, f"invalid chunk {index}: {reason}")


class LimitExceededError(PeerMisbehavedError):
    """More than `Limits` allows, of anything. `limit` is the field's name."""

    def __init__(self, peer: str, limit: str, seen: int) -> None:
        self.limit = limit
        self.seen = seen
        super().__init__(peer, f"{seen} is more than {limit} allows")


class CheckpointError(SyncError):
    """Something about a checkpoint or the store that holds it."""


class CheckpointNotFoundError(CheckpointError):
    """The store does not have it; `name` says what was looked for."""

    hint = "`leafmirror checkpoint list` shows what is there"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no {name} in this store")


class CheckpointExistsError(CheckpointError):
    """The store has exactly this checkpoint already."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        super().__init__(f"checkpoint {digest.hex()} is already there")


class CheckpointCorruptError(CheckpointError):
    """What the store holds is not what was written."""

    hint = "prune this checkpoint and create it again"

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"{name} is damaged: {reason}")


class CheckpointMismatchError(CheckpointError):
    """The leaves fold to another root than the one given: nothing is published."""

    hint = "run `leafmirror check` on the mirror, and compare the root with the node's"

    def __init__(self, *, expected: bytes, computed: bytes) -> None:
        self.expected = expected
        self.computed = computed
        super().__init__(f"the leaves fold to {computed.hex()}, the root is {expected.hex()}")


class InvalidStateError(CheckpointError):
    """Leaves that no state of the scheme can hold: nothing is published."""

    hint = "run `leafmirror check` on the mirror"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the leaves are no state: {reason}")


class CodeUnavailableError(CheckpointError):
    """A live account names code that the mirror does not have: nothing is published."""

    hint = "apply the write log that carries the code"

    def __init__(self, code_hash: bytes, reason: str) -> None:
        self.code_hash = code_hash
        self.reason = reason
        super().__init__(f"code {code_hash.hex()}: {reason}")


class UnsupportedCutError(CheckpointError):
    """A cut along subtrees of a state that has none: its root is a sum."""

    hint = "cut by ranges, the default"

    def __init__(self, kind: str, scheme: str) -> None:
        self.kind = kind
        self.scheme = scheme
        super().__init__(f"a state of {scheme} cannot be cut by {kind}")


class WorkerLostError(CheckpointError):
    """A worker process died while it folded, or could not start. Nothing was published."""

    hint = 'try again with fewer workers; a script that creates checkpoints needs an `if __name__ == "__main__"`'

    def __init__(self, workers: int) -> None:
        self.workers = workers
        super().__init__(f"one of {workers} workers died")


class StoreLockedError(CheckpointError):
    """Another process is creating or pruning in this store."""

    hint = "wait until it has finished"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: another process is changing this store")


class StoreAccessError(CheckpointError):
    """The operating system refused: no space, no permission, a failing disk. Nothing was published."""

    hint = "free space or fix permissions, then run the command again"

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class MirrorMismatchError(SyncError):
    """A write log claims a root that the leaves would not have after it. Nothing of it was applied."""

    hint = "compare the write log with the node's; if they agree, run `leafmirror check`"

    def __init__(self, *, height: int, expected: bytes, computed: bytes) -> None:
        self.height = height
        self.expected = expected
        self.computed = computed
        super().__init__(f"height {height} folds to {computed.hex()}, its write log claims {expected.hex()}")


class UnprovableError(SyncError):
    """A proof that cannot be given: too many leaves, or no checkpoint that covers it."""

    def __init__(self, start: bytes, end: bytes | None, reason: str) -> None:
        self.start = start
        self.end = end
        self.reason = reason
        super().__init__(f"no proof of [0x{start.hex()}, {'end' if end is None else '0x' + end.hex()}): {reason}")


class RestoreError(SyncError):
    """A restore that cannot go on."""


class NoPeersLeftError(RestoreError):
    """Every peer was dropped or given up; `peers` says why, by name.

    `unoffered`: peers answered, and none of those that did has a checkpoint of the root. Perhaps it is mistyped.
    """

    hint = "run the same command again, with more peers; it continues where it stopped"

    def __init__(self, peers: Mapping[str, str], *, unoffered: bool = False) -> None:
        self.peers = dict(peers)
        self.unoffered = unoffered
        if unoffered:
            self.hint = "check height and hash of the root, or name other peers; --wait asks until one has it"
        reasons = ", ".join(f"{peer} ({reason})" for peer, reason in self.peers.items())
        super().__init__(f"no peers left: {reasons or 'none was given'}")


class RestoreMismatchError(RestoreError):
    """The restored database folds to another root than the trusted one."""

    hint = "remove the directory and restore again; if it happens twice, report it with this message"

    def __init__(self, *, expected: bytes, computed: bytes) -> None:
        self.expected = expected
        self.computed = computed
        super().__init__(f"the restored leaves fold to {computed.hex()}, the trusted root is {expected.hex()}")


class RestoreConflictError(RestoreError):
    """Another restore session works on this database, or it belongs to another restore."""

    hint = "wait for that restore, or restore into another directory"

    def __init__(self, path: Path, reason: str = "another restore works here") -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class NoSpaceError(RestoreError):
    """The file system has less room than the state may need; sizes in bytes."""

    hint = "free space or choose another disk, then run the same command again"

    def __init__(self, path: Path, *, needed: int, free: int) -> None:
        self.path = path
        self.needed = needed
        self.free = free
        super().__init__(f"{path}: the restore may need {needed} bytes, {free} are free")
