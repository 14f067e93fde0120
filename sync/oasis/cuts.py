"""Where Oasis cuts a state into chunks: both chunkers, from the shape alone.

A chunk shows the leaves [start, end) and every branch above one of them. It closes after the first leaf that
brings its size to the chunk size; its size is one byte and the encoding of each node, an embedded leaf
counting once within its branch and again when it is reached itself.

With one thread there is one task, the whole state. With more, the reference splits subtrees until it has a
task for each thread, writes one chunk of every task, and splits again; chunk order is that of these waves,
not key order. A task is always a run of neighbouring leaves: its branches above are all ancestors of its
next leaf. Embedded leaves of a branch that was split belong to no task; they show in every chunk below.
Source: oasis-core `go/storage/mkvs/checkpoint/{chunk,subtree}`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sync.oasis.shape import Shape

_ROUNDS = 10
Cut = tuple[int, int]
"""Leaves [start, end) of a chunk; (0, 0) for the only chunk of an empty state."""


@dataclass(slots=True)
class _Task:
    """What is left of one subtree: leaves [next, end) of the branch (or leaf) over [first, end).

    `above`: (end of label, size) of every branch above `next` that is known, outermost first.
    """

    first: int
    end: int
    next: int
    above: list[tuple[int, int]]
    parts: tuple[int, bool, int | None] | None = field(default=None)


def cut(shape: Shape, chunk_bytes: int, threads: int) -> list[Cut]:
    """Chunks in index order. `threads` 0 and 1 are the sequential chunker."""
    if not shape.count:
        return [(0, 0)]
    out: list[Cut] = []
    tasks = [_Task(0, shape.count, 0, [])]
    while tasks:
        tasks = _split_all(shape, tasks, threads)
        out.extend(_advance(shape, task, chunk_bytes) for task in tasks)
        tasks = [task for task in tasks if task.next < task.end]
    return out


def _advance(shape: Shape, task: _Task, chunk_bytes: int) -> Cut:
    """Take one chunk off the task."""
    shared, opened, ends = shape.shared, shape.opened, shape.ends
    keys, values = shape.key_sizes, shape.value_sizes
    above = task.above
    start = leaf = task.next
    at = shape.ends_from(start)
    size = sum(each for _, each in above)
    while True:
        key_size = keys[leaf]
        own = 8 + key_size + values[leaf]
        for _ in range(opened[leaf]):
            end = ends[at]
            at += 1
            parent = above[-1][0] if above else 0
            if above and end <= parent:
                continue  # opened here, and already above a task that was split off below it
            branch = 4 + (end - parent + 7 >> 3) + (own - 1 if key_size << 3 == end else 1)  # as _branch_bytes
            above.append((end, branch))
            size += branch
        size += own
        leaf += 1
        if leaf == task.end:
            break
        common = shared[leaf]
        while above and above[-1][0] > common:
            above.pop()
        if size >= chunk_bytes:
            break
    task.next = leaf
    return start, leaf


def _split_all(shape: Shape, tasks: list[_Task], threads: int) -> list[_Task]:
    for _ in range(_ROUNDS):
        out: list[_Task] = []
        for index, task in enumerate(tasks):
            if len(out) + len(tasks) - index >= threads:
                return out + tasks[index:]
            out += _split(shape, task)
        tasks = out
    return tasks


def _split(shape: Shape, task: _Task) -> list[_Task]:
    """The task without its topmost branch: its children, or the task one level down and what it leaves."""
    first, end, after = task.first, task.end, task.next
    if end - first == 1:
        return [task]
    if task.parts is None:
        task.parts = shape.branch(first, end)
    depth, embedded, right = task.parts
    begin = first + embedded
    if after == first or (embedded and after == begin):  # nothing below the branch is done
        above = _with_branch(shape, task, depth, embedded)
        bounds = [(begin, end)] if right is None else [(begin, right), (right, end)]
        return [_Task(low, high, low, above.copy()) for low, high in bounds]
    if right is None:
        return [_Task(begin, end, after, task.above)]
    if after == right:
        return [task]
    if after > right:
        return [_Task(right, end, after, task.above)]
    above = [branch for branch in task.above if branch[0] <= depth]
    return [_Task(right, end, right, above), _Task(begin, right, after, task.above)]


def _with_branch(shape: Shape, task: _Task, depth: int, embedded: bool) -> list[tuple[int, int]]:
    """Branches above the children of the task's topmost branch: those above the task, and itself."""
    above = task.above
    if above and above[-1][0] >= depth:
        return above
    parent = above[-1][0] if above else 0
    return [*above, (depth, _branch_bytes(shape, task.first, parent, depth, embedded))]


def _branch_bytes(shape: Shape, first: int, parent: int, end: int, embedded: bool) -> int:
    """Size of a branch's proof entry: 01, node tag, label size, label, embedded leaf or the mark of none."""
    return 4 + (end - parent + 7 >> 3) + (shape.leaf_bytes(first) - 1 if embedded else 1)
