"""Where chunks end, against the reference's own procedure walked over a whole tree."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from proofs.oasis.reads import ProofBuilder
from proofs.oasis.tree import Branch, Leaf, Node, Tree, build
from sync.oasis.cuts import cut
from sync.oasis.shape import measure
from tests.oasis_cases import Pair, random_state

Frame = tuple[Node, str]


@dataclass
class Task:
    """The reference's subtree: ancestors, and a stack of what is pending."""

    path: list[Branch]
    pending: list[Frame]


def model(pairs: list[Pair], chunk_bytes: int, threads: int) -> list[list[bytes]]:
    """Keys of the leaves that each chunk visits, in chunk order; sizes by the proof builder itself."""
    root = build(pairs)
    tree = Tree(root)
    if root is None:
        return [[]]
    out: list[list[bytes]] = []
    tasks = [Task([], [(root, "before")])]
    while tasks:
        tasks = split_all(tasks, threads) if threads else tasks
        out += [one_chunk(tree, task, chunk_bytes) for task in tasks]
        tasks = [task for task in tasks if task.pending]
    return out


def one_chunk(tree: Tree, task: Task, chunk_bytes: int) -> list[bytes]:
    builder, keys, leaf_last = ProofBuilder(tree, 0), [], False
    for node in [*task.path, *(node for node, _ in task.pending)]:
        builder.include(node)
    while task.pending and not (builder.size >= chunk_bytes and leaf_last):
        node, phase = task.pending.pop()
        builder.include(node)
        if isinstance(node, Leaf):
            keys.append(node.key)
            leaf_last = True
            continue
        assert isinstance(node, Branch)
        child: Node | None = None
        if phase == "before":
            leaf_last = False
            child = node.leaf
        elif phase != "right":
            child = node.left if phase == "at" else node.right
        following = {"before": "at", "at": "left", "left": "right"}.get(phase)
        if following:
            task.pending.append((node, following))
        if child is not None:
            task.pending.append((child, "before"))
    while task.pending and not has_work(*task.pending[-1]):
        task.pending.pop()
    return keys


def has_work(node: Node, phase: str) -> bool:
    if not isinstance(node, Branch) or phase == "before":
        return True
    return bool(node.right) if phase == "left" else phase == "at"


def split_all(tasks: list[Task], threads: int) -> list[Task]:
    for _ in range(10):
        out: list[Task] = []
        for index, task in enumerate(tasks):
            if len(out) + len(tasks) - index >= threads:
                return out + tasks[index:]
            out += split(task)
        tasks = out
    return tasks


def split(task: Task) -> list[Task]:
    node, phase = task.pending[0]
    if not isinstance(node, Branch):
        return [task]
    path = [*task.path, node]
    if phase in ("before", "at"):
        return [Task(path, [(child, "before")]) for child in (node.left, node.right) if child]
    if len(task.pending) == 1:
        return [task]
    rest = Task(path, task.pending[1:])
    right = [Task(path, [(node.right, "before")])] if phase == "left" and node.right else []
    return [*right, rest]


@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
@pytest.mark.parametrize("threads", [0, 1, 2, 3, 5, 12, 19])
def test_cuts_are_those_of_the_reference(kind: str, threads: int, rng: random.Random) -> None:
    for count in (0, 1, 2, 3, 8, 40, 120):
        pairs = random_state(rng, kind, count)
        shape = measure(pairs)
        for chunk_bytes in (0, 1, 100, 400, 1000, 4096, 1 << 20):
            cuts = cut(shape, chunk_bytes, threads)
            assert [[key for key, _ in pairs[start:end]] for start, end in cuts] == model(pairs, chunk_bytes, threads)
