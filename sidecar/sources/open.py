"""Which source a configuration names."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from proofs.oasis.tree import Pair, Tree, build
from sidecar.config import Config
from sidecar.oasis_backend import STUB_LEAVES
from sidecar.source import Source
from sidecar.sources.file import FileSource
from sidecar.sources.oasis import OasisSource
from sidecar.sources.oasis_grpc import OasisClient
from sync.mirror import Mirror

__all__ = ["MirrorState", "open_source"]


class MirrorState:
    """The mirror's leaves, for a source that works out what changed. See `sources.oasis.LocalState`."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def tree(self) -> Tree:
        def read(first: bytes, count: int) -> Iterable[Pair]:
            return islice(self._mirror.scan(first), count)

        return Tree(build(self._mirror.scan(), stub_leaves=STUB_LEAVES), read)

    def scan(self, start: bytes, end: bytes | None) -> Iterable[Pair]:
        return self._mirror.scan(start, end)


def open_source(config: Config, mirror: Mirror) -> Source:
    """The source of this configuration. It connects, or opens its file, when it is followed."""
    source = config.source
    if source.kind == "oasis":
        namespace = bytes.fromhex(config.mirror.namespace)
        return OasisSource(OasisClient(source.address), namespace, MirrorState(mirror))
    return FileSource(source.path, poll_s=source.poll_s)
