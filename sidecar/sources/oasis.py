"""OasisSource: follows the finalised rounds of a runtime at a node, as a stream of write logs.

The node tells of a round once its own storage has it. A round's write log is asked for as a diff; production nodes do
not offer diffs, and then what changed since the mirror's last round is worked out from proofs against the round's state
root (`oasis_gap`). Rounds whose state root did not change need neither. Roots come from the block headers of the node
that the operator runs: they are what a write log claims, and the mirror checks them when it is told to verify.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, Protocol

from flatdb import WriteLog
from proofs import ProofError
from proofs.oasis.messages import STATE, GetDiffRequest, IterateRequest, LogEntry, Proof
from proofs.oasis.runtime import AnnotatedBlock, Block, GetBlockRequest, Header
from proofs.oasis.tree import Pair, Tree
from sidecar.errors import SourceGapError, SourceUnavailableError
from sidecar.oasis_gap import GapFill
from sidecar.oasis_status import UNSUPPORTED, WRITE_LOG_NOT_FOUND, OasisCallError
from sidecar.sources.oasis_grpc import RUNTIME

__all__ = ["LocalState", "NodeReader", "OasisSource"]


class NodeReader(Protocol):
    """What is asked of a node; `oasis_grpc.OasisClient` asks it. Nothing of it is believed unverified."""

    @property
    def address(self) -> str: ...

    def watch_blocks(self, runtime_id: bytes) -> AsyncIterator[AnnotatedBlock]: ...

    async def get_block(self, request: GetBlockRequest) -> Block: ...

    async def get_last_retained_block(self, runtime_id: bytes) -> Block: ...

    async def get_diff(self, request: GetDiffRequest) -> list[LogEntry]: ...

    async def sync_iterate(self, request: IterateRequest, *, service: str) -> Proof: ...


class LocalState(Protocol):
    """The mirror's leaves as they are now. Read from a worker thread, and only between two write logs."""

    def tree(self) -> Tree:
        """Their trie, as a spine: costs one fold of all leaves."""
        ...

    def scan(self, start: bytes, end: bytes | None) -> Iterable[Pair]: ...


class OasisSource:
    """A `Source` over one node and one runtime's state."""

    def __init__(self, node: NodeReader, runtime_id: bytes, local: LocalState) -> None:
        self._node = node
        self._runtime_id = runtime_id
        self._local = local
        self._has_diffs = True
        self._latest_height: int | None = None

    @property
    def name(self) -> str:
        return self._node.address

    @property
    def latest_height(self) -> int | None:
        return self._latest_height

    @property
    def backlog_bytes(self) -> int:
        """Always 0: what a round holds is not known before it is read."""
        return 0

    async def follow(self, after: int | None) -> AsyncIterator[WriteLog]:
        """See `Source.follow`.

        A mirror without a height begins with the newest round. Where there are no diffs, rounds that were missed are
        passed over: the next write log leads to the newest round at once.

        Raises:
            SourceUnavailableError: no connection, or an answer that proves nothing.
            SourceGapError: diffs are offered, and the next round is no longer kept.
        """
        try:
            async for annotated in self._node.watch_blocks(self._runtime_id):
                newest = annotated.block.header
                while after is None or after < newest.round:
                    write_log = await self._next(after, newest)
                    after = self._latest_height = write_log.height
                    yield write_log
        except OasisCallError as error:
            raise SourceUnavailableError(self.name, error.reason) from error

    async def _next(self, after: int | None, newest: Header) -> WriteLog:
        """The write log that follows `after`."""
        if after is not None and self._has_diffs:
            old, new = await self._header(after), await self._header(after + 1)
            if old.state_root == new.state_root:
                return WriteLog(height=new.round, parent_root=old.state_root, root=new.state_root)
            try:
                return await self._diff(old, new)
            except OasisCallError as error:
                if error.kind not in _NO_DIFF:
                    raise
                self._has_diffs = error.kind != UNSUPPORTED
        return await self._fill_gap(newest, first=after is None)

    async def _header(self, number: int) -> Header:
        """Header of a round.

        Raises:
            SourceGapError: the node has pruned it.
        """
        try:
            header = (await self._node.get_block(GetBlockRequest(self._runtime_id, number))).header
        except OasisCallError:
            oldest = (await self._node.get_last_retained_block(self._runtime_id)).header.round
            if number >= oldest:
                raise
            raise SourceGapError(self.name, needed=number, oldest=oldest) from None
        if (header.round, header.namespace) != (number, self._runtime_id):
            raise SourceUnavailableError(self.name, f"another block than that of round {number}")
        return header

    async def _diff(self, old: Header, new: Header) -> WriteLog:
        log = await self._node.get_diff(GetDiffRequest(old.root(STATE), new.root(STATE)))
        return WriteLog(
            height=new.round, parent_root=old.state_root, root=new.state_root, writes=tuple(sorted(log, key=_entry_key))
        )

    async def _fill_gap(self, newest: Header, *, first: bool) -> WriteLog:
        tree = await asyncio.to_thread(self._local.tree)
        gap = GapFill(newest.root(STATE), tree, self._local.scan)
        while not gap.done:
            proof = await self._node.sync_iterate(gap.request(), service=RUNTIME)
            try:
                await asyncio.to_thread(gap.accept, proof)
            except ProofError as error:
                raise SourceUnavailableError(self.name, f"a proof that proves nothing: {error}") from error
        return gap.write_log(None if first else tree.root_hash)


_NO_DIFF: Final = (UNSUPPORTED, WRITE_LOG_NOT_FOUND)


def _entry_key(entry: LogEntry) -> bytes:
    return entry[0]
