"""Judge: whether an answer is what was asked for, and whose fault it is if not.

Knows the user's Root, the request and the bytes; nothing else counts. Decoders below raise FormatError and ProofError
without knowing who sent the bytes: here, and nowhere else, they become errors of a peer. Two kinds of fault are told
apart. Bytes that are not those announced are the sender's. Bytes that are exactly those announced and are wrong all the
same are the fault of the announcement: the manifest is forged, and everyone who gave it answers for it.

Pure and thread-safe: judging changes nothing.
"""

from __future__ import annotations

from hashlib import sha256

from proofs import Kernel, LeafRun, ProofError, get_scheme
from proofs.errors import IncompleteRangeError
from sync.chunk import accept_leaf_chunk, decode_code_chunk, decode_leaf_chunk, verify_code
from sync.errors import FormatError, InvalidChunkError, InvalidManifestError, PeerUnavailableError
from sync.limits import Limits
from sync.manifest import CodeEntry, LeafEntry, Manifest
from sync.request import ChunkRequest, ListingRequest, ManifestRequest, Request
from sync.root import Root
from sync.wire import ListedCheckpoint, decode_listing

__all__ = ["ForgedChunkError", "ForgedManifestError", "Judge", "Judged", "VerifiedChunk"]


class ForgedManifestError(InvalidManifestError):
    """The manifest has the digest that it was listed under, and is none of the root: its givers lied."""


class ForgedChunkError(InvalidChunkError):
    """The chunk is the one that the manifest announces, and does not hold: the manifest's givers lied."""


class Judged:
    """An answer that is what was asked for, as far as bytes and the user's Root can tell. Only a Judge makes one."""

    __slots__ = ("content", "request", "size")

    def __init__(
        self, request: Request, size: int, content: tuple[ListedCheckpoint, ...] | Manifest | LeafRun, *, _judge: object
    ) -> None:
        if _judge is not _JUDGE:
            raise TypeError("only a Judge judges answers")
        self.request = request
        self.size = size
        self.content = content


class VerifiedChunk:
    """Leaves that are all of their range at the trusted root, or code by its hash. Made of a Judged answer only.

    Of an additive scheme: leaves that the manifest announces for their range; only all of them together are verified.
    """

    __slots__ = ("request", "run")

    def __init__(self, judged: Judged) -> None:
        """Precondition: the answer is to a ChunkRequest."""
        assert isinstance(judged.request, ChunkRequest)
        assert isinstance(judged.content, LeafRun)
        self.request = judged.request
        self.run = judged.content

    @property
    def is_code(self) -> bool:
        return isinstance(self.request.entry, CodeEntry)


_JUDGE = object()


class Judge:
    """Judges answers for one Root."""

    def __init__(self, root: Root, limits: Limits, kernel: Kernel) -> None:
        """Raises UnknownSchemeError."""
        self._root = root
        self._scheme = get_scheme(root.scheme)
        self._limits = limits
        self._kernel = kernel

    def judge(self, request: Request, untrusted: bytes, *, code: frozenset[bytes]) -> Judged:
        """`code`: hashes that the restored leaves name; empty until they are known, and no code is asked for before.

        Raises:
            PeerUnavailableError: an answer that makes no sense and proves nothing.
            InvalidManifestError, InvalidChunkError: other bytes than announced: this peer lied.
            ForgedManifestError, ForgedChunkError: the announced bytes, and wrong: the manifest's givers lied.
        """
        content: tuple[ListedCheckpoint, ...] | Manifest | LeafRun
        if isinstance(request, ListingRequest):
            content = self._listing(request, untrusted)
        elif isinstance(request, ManifestRequest):
            content = self._manifest(request, untrusted)
        else:
            content = self._chunk(request, untrusted, code)
        return Judged(request, len(untrusted), content, _judge=_JUDGE)

    def _listing(self, request: ListingRequest, untrusted: bytes) -> tuple[ListedCheckpoint, ...]:
        try:
            return decode_listing(untrusted, count_max=self._limits.checkpoints_listed_max)
        except FormatError as error:
            raise PeerUnavailableError(request.peer, str(error)) from error

    def _manifest(self, request: ManifestRequest, untrusted: bytes) -> Manifest:
        if sha256(untrusted).digest() != request.digest:
            raise InvalidManifestError(request.peer, "it has another digest than the one it was listed under")
        try:
            manifest = Manifest.decode(untrusted, limits=self._limits)
        except FormatError as error:
            raise ForgedManifestError(request.peer, str(error)) from error
        if manifest.root != self._root:
            raise ForgedManifestError(request.peer, f"it is of another root: {manifest.root}")
        if manifest.code_chunks and not self._scheme.capabilities.has_code:
            raise ForgedManifestError(request.peer, f"it announces code, and leaves of {self._root.scheme} name none")
        return manifest

    def _chunk(self, request: ChunkRequest, untrusted: bytes, code: frozenset[bytes]) -> LeafRun:
        try:
            if isinstance(request.entry, LeafEntry):
                return self._leaves(request, request.entry, untrusted)
            return self._code(request.entry, untrusted, code)
        except FormatError as error:
            raise InvalidChunkError(request.peer, request.index, str(error)) from error
        except ProofError as error:
            raise ForgedChunkError(request.peer, request.index, str(error)) from error

    def _leaves(self, request: ChunkRequest, entry: LeafEntry, untrusted: bytes) -> LeafRun:
        chunk = decode_leaf_chunk(untrusted, entry, limits=self._limits)
        return accept_leaf_chunk(self._scheme, self._root.hash, chunk, entry, request.end, kernel=self._kernel)

    def _code(self, entry: CodeEntry, untrusted: bytes, code: frozenset[bytes]) -> LeafRun:
        blobs = decode_code_chunk(untrusted, entry, limits=self._limits)
        verify_code(self._scheme, blobs, entry)
        if not code.issuperset(blobs.keys):
            raise IncompleteRangeError(entry.start, "code that no leaf names")
        return blobs
