"""Following a runtime's rounds: by diffs where a node offers them, by proofs where it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from flatdb import WriteLog
from proofs.oasis.messages import EMPTY_HASH, GetDiffRequest, IterateRequest, LogEntry, Proof
from proofs.oasis.reads import sync_iterate
from proofs.oasis.runtime import AnnotatedBlock, Block, GetBlockRequest, Header
from proofs.oasis.tree import Pair, Tree
from sidecar.errors import SourceGapError, SourceUnavailableError
from sidecar.oasis_status import MUST_FOLLOW, UNSUPPORTED, WRITE_LOG_NOT_FOUND, OasisCallError
from sidecar.sources.oasis import OasisSource
from sidecar.sources.oasis_grpc import RUNTIME
from tests.oasis_cases import NAMESPACE, numbered, tree_of
from tests.proofs.oasis.test_runtime import ZERO

State = dict[bytes, bytes]
ROUNDS: list[State] = [
    {},
    dict(numbered(50)),
    dict(numbered(50)),
    {**dict(numbered(60)), b"key 7": b"changed"},
    dict(numbered(20)),
    {},
    dict(numbered(5)),
]
"""The state after each round; round 2 changes nothing."""


def tree(state: State) -> Tree:
    return tree_of(sorted(state.items()))


def changes(old: State, new: State) -> tuple[LogEntry, ...]:
    return tuple(sorted((key, new.get(key)) for key in old | new if old.get(key) != new.get(key)))


class Node:
    """A node with these rounds. `watched`: the rounds that it tells of; `refuse_diff`: how it answers GetDiff."""

    address = "node"

    def __init__(self, *watched: int, oldest: int = 0, refuse_diff: tuple[str, int] | None = None) -> None:
        self.watched = watched
        self.oldest = oldest
        self.refuse_diff = refuse_diff
        self.calls: list[str] = []

    def header(self, number: int) -> Header:
        return replace(ZERO, namespace=NAMESPACE, round=number, state_root=tree(ROUNDS[number]).root_hash)

    async def watch_blocks(self, runtime_id: bytes) -> AsyncIterator[AnnotatedBlock]:
        assert runtime_id == NAMESPACE
        for number in self.watched:
            yield AnnotatedBlock(Block(self.header(number)), 100 + number)

    async def get_block(self, request: GetBlockRequest) -> Block:
        if request.round < self.oldest:
            raise OasisCallError(self.address, ("roothash", 3), "pruned")
        return Block(self.header(request.round))

    async def get_last_retained_block(self, runtime_id: bytes) -> Block:
        return Block(self.header(self.oldest))

    async def get_diff(self, request: GetDiffRequest) -> list[LogEntry]:
        self.calls.append("diff")
        if self.refuse_diff:
            raise OasisCallError(self.address, self.refuse_diff, "no diff")
        old, new = request.start_root, request.end_root
        assert new.version == old.version + 1
        return list(changes(ROUNDS[old.version], ROUNDS[new.version]))[::-1]  # in no order, as a node gives them

    async def sync_iterate(self, request: IterateRequest, *, service: str) -> Proof:
        assert service == RUNTIME
        self.calls.append("iterate")
        return sync_iterate(tree(ROUNDS[request.tree.root.version]), request)


class Mirror:
    """What was applied so far."""

    def __init__(self, height: int | None = None) -> None:
        self.state: State = {} if height is None else dict(ROUNDS[height])

    def tree(self) -> Tree:
        return tree(self.state)

    def scan(self, start: bytes, end: bytes | None) -> list[Pair]:
        return [pair for pair in sorted(self.state.items()) if start <= pair[0] and (end is None or pair[0] < end)]

    def apply(self, log: WriteLog) -> None:
        for key, value in log.writes:
            if value is None:
                del self.state[key]
            else:
                self.state[key] = value
        assert log.root == self.tree().root_hash
        assert self.state == ROUNDS[log.height]


async def follow(node: Node, after: int | None) -> list[WriteLog]:
    mirror = Mirror(after)
    source = OasisSource(node, NAMESPACE, mirror)
    assert (source.name, source.latest_height, source.backlog_bytes) == ("node", None, 0)
    logs = []
    async for log in source.follow(after):
        mirror.apply(log)
        assert source.latest_height == log.height
        logs.append(log)
    return logs


async def test_every_round_by_its_diff() -> None:
    """Those that were missed come first; a round that changed nothing is not asked for."""
    node = Node(4, 5, 6)
    logs = await follow(node, 0)
    assert [log.height for log in logs] == [1, 2, 3, 4, 5, 6]
    assert node.calls == ["diff"] * 5
    assert logs[1] == WriteLog(height=2, parent_root=logs[0].root, root=logs[0].root)
    assert [log.parent_root for log in logs[1:]] == [log.root for log in logs[:-1]]
    assert logs[0].parent_root == EMPTY_HASH


async def test_a_round_that_is_known_is_passed_over() -> None:
    assert await follow(Node(3, 3), 3) == []


async def test_rounds_without_diffs() -> None:
    """Production nodes have no such method: straight to the newest round, by proofs."""
    node = Node(3, 4, 5, 6, refuse_diff=UNSUPPORTED)
    assert [log.height for log in await follow(node, 1)] == [2, 3, 4, 5, 6]
    assert node.calls.count("diff") == 1


async def test_one_log_that_is_not_kept() -> None:
    """The others may be: diffs are asked for again."""
    node = Node(3, 4, refuse_diff=WRITE_LOG_NOT_FOUND)
    logs = await follow(node, 2)
    assert [log.height for log in logs] == [3, 4]
    assert node.calls.count("diff") == 2


async def test_an_empty_mirror_begins_with_the_newest_round() -> None:
    (log,) = await follow(Node(3), None)
    assert (log.height, log.parent_root) == (3, None)
    assert log.writes == changes({}, ROUNDS[3])


async def test_rounds_that_are_no_longer_kept() -> None:
    with pytest.raises(SourceGapError) as caught:
        await follow(Node(5, oldest=4), 1)
    assert (caught.value.needed, caught.value.oldest) == (1, 4)


async def test_other_errors_mean_later() -> None:
    with pytest.raises(SourceUnavailableError):
        await follow(Node(3, refuse_diff=MUST_FOLLOW), 2)

    class Silent(Node):
        async def get_block(self, request: GetBlockRequest) -> Block:
            raise OasisCallError(self.address, ("", 0), "not now")

    with pytest.raises(SourceUnavailableError):
        await follow(Silent(3), 2)


async def test_another_block_than_asked_for() -> None:
    class Wrong(Node):
        async def get_block(self, request: GetBlockRequest) -> Block:
            return Block(self.header(0))

    with pytest.raises(SourceUnavailableError):
        await follow(Wrong(3), 1)


async def test_proofs_that_prove_nothing() -> None:
    class Lying(Node):
        async def sync_iterate(self, request: IterateRequest, *, service: str) -> Proof:
            return sync_iterate(tree(ROUNDS[4]), request)

    with pytest.raises(SourceUnavailableError):
        await follow(Lying(3, refuse_diff=UNSUPPORTED), None)
