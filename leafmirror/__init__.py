"""leafmirror: a verified mirror of a chain's state, provable checkpoints, restores that believe only the root.

These names are the public ones, with what their signatures speak of; nothing else of this distribution is promised.
A mirror is filled, and cut into a checkpoint:

>>> import shutil, tempfile
>>> from pathlib import Path
>>> from leafmirror import CheckpointStore, Mirror, WriteLog, create_checkpoint, get_scheme, prove, verify_range
>>> folder = Path(tempfile.mkdtemp())
>>> store = CheckpointStore.folder(folder / "checkpoints")
>>> with Mirror.create(folder / "mirror", scheme="mkvs") as mirror:
...     record = mirror.apply(WriteLog(height=1, writes=((b"apple", b"red"), (b"pear", b"green"))))
...     root = mirror.root()
...     with mirror.freeze() as view:
...         checkpoint = create_checkpoint(view, root, store)

Whoever trusts that root needs to trust nobody for what lies below it:

>>> proof, leaves = prove(store, checkpoint.digest, b"pear", b"plum")
>>> verified = verify_range(get_scheme("mkvs"), root.hash, proof, leaves)
>>> verified.get(b"pear"), verified.get(b"pepper")
(b'green', None)
>>> shutil.rmtree(folder)

`make_app` serves a store over HTTP; `restore`, or `Restore` step by step, brings a state from such endpoints.
"""

from __future__ import annotations

from flatdb import FrozenView, HeightRecord, WriteLog
from flatdb.errors import (
    DatabaseAccessError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseExistsError,
    DatabaseLockedError,
    DatabaseNotFoundError,
    DatabaseReadOnlyError,
    FlatDBError,
    HeightConflictError,
    HeightGapError,
    IncompleteDatabaseError,
    InvalidWriteLogError,
    UnknownSuffixError,
)
from proofs import LeafRun, RangeProof, VerifiedRange, get_scheme, verify_range
from proofs.errors import (
    IncompleteRangeError,
    InvalidLeafError,
    LeafOrderError,
    MalformedProofError,
    MisplacedNodeError,
    MissingNodeError,
    ProofError,
    RootMismatchError,
    UnknownSchemeError,
)
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.errors import (
    CheckpointCorruptError,
    CheckpointError,
    CheckpointExistsError,
    CheckpointMismatchError,
    CheckpointNotFoundError,
    CodeUnavailableError,
    FormatError,
    InvalidChunkError,
    InvalidManifestError,
    InvalidStateError,
    LimitExceededError,
    MirrorMismatchError,
    NoPeersLeftError,
    NoSpaceError,
    OversizeError,
    PeerError,
    PeerMisbehavedError,
    PeerRefusedError,
    PeerUnavailableError,
    RestoreConflictError,
    RestoreError,
    RestoreMismatchError,
    StoreAccessError,
    StoreLockedError,
    SyncError,
    UnprovableError,
    UnsupportedCutError,
    WorkerLostError,
)
from sync.events import (
    ChunkStored,
    Event,
    ManifestChosen,
    ManifestDropped,
    PeerFaulted,
    RestoreState,
    StateChanged,
)
from sync.limits import Limits
from sync.manifest import Cut
from sync.mirror import Mirror
from sync.peers import PeerReport, Verdict
from sync.prove import prove
from sync.restore import Report, Restore, restore
from sync.root import Root
from sync.server import make_app

__all__ = [
    "CheckpointCorruptError",
    "CheckpointError",
    "CheckpointExistsError",
    "CheckpointInfo",
    "CheckpointMismatchError",
    "CheckpointNotFoundError",
    "CheckpointStore",
    "ChunkStored",
    "CodeUnavailableError",
    "Cut",
    "DatabaseAccessError",
    "DatabaseCorruptError",
    "DatabaseError",
    "DatabaseExistsError",
    "DatabaseLockedError",
    "DatabaseNotFoundError",
    "DatabaseReadOnlyError",
    "Event",
    "FlatDBError",
    "FormatError",
    "FrozenView",
    "HeightConflictError",
    "HeightGapError",
    "HeightRecord",
    "IncompleteDatabaseError",
    "IncompleteRangeError",
    "InvalidChunkError",
    "InvalidLeafError",
    "InvalidManifestError",
    "InvalidStateError",
    "InvalidWriteLogError",
    "LeafOrderError",
    "LeafRun",
    "LimitExceededError",
    "Limits",
    "MalformedProofError",
    "ManifestChosen",
    "ManifestDropped",
    "Mirror",
    "MirrorMismatchError",
    "MisplacedNodeError",
    "MissingNodeError",
    "NoPeersLeftError",
    "NoSpaceError",
    "OversizeError",
    "PeerError",
    "PeerFaulted",
    "PeerMisbehavedError",
    "PeerRefusedError",
    "PeerReport",
    "PeerUnavailableError",
    "ProofError",
    "RangeProof",
    "Report",
    "Restore",
    "RestoreConflictError",
    "RestoreError",
    "RestoreMismatchError",
    "RestoreState",
    "Root",
    "RootMismatchError",
    "StateChanged",
    "StoreAccessError",
    "StoreLockedError",
    "SyncError",
    "UnknownSchemeError",
    "UnknownSuffixError",
    "UnprovableError",
    "UnsupportedCutError",
    "Verdict",
    "VerifiedRange",
    "WorkerLostError",
    "WriteLog",
    "create_checkpoint",
    "get_scheme",
    "make_app",
    "prove",
    "restore",
    "verify_range",
]
