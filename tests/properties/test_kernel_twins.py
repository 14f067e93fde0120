"""Twin kernels: on any state, between any neighbours, the native kernel answers what the reference answers.

The Rust crate has tests of its own against a model of its own (scripts/kernel); these hold it to the definition.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import HashedValue, InvalidLeafError, LeafRun, ProofError, fold, get_kernel, get_scheme, leaf_run
from proofs.fold import NODE, Frontier
from proofs.kernel import NativeKernel, ReferenceKernel
from proofs.oasis.chunk import OpenedChunk
from proofs.oasis.messages import EMPTY_HASH
from proofs.oasis.node import encode_branch, encode_leaf
from tests.oasis_cases import random_state, tree_of
from tests.proofs.oasis.test_chunk import plain_of
from tests.proofs.oasis.test_proof import random_proof
from tests.proofs.states import KINDS, kernel_names, random_world
from tests.properties.scheme_states import STATES

pytestmark = pytest.mark.skipif("native" not in kernel_names(), reason="the native kernel was not built here")

NATIVE, REFERENCE = NativeKernel(), ReferenceKernel()


def outcome(answer: Callable[[], object]) -> object:
    """What came out, a refusal as its class and words."""
    try:
        return answer()
    except ProofError as refusal:
        return type(refusal), str(refusal)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_every_range_has_the_same_frontier_and_pieces(name: str, kind: str, rng: random.Random) -> None:
    """Fails if the Rust walk differs in anything: a neighbour, a value slot, a depth, a limit."""
    scheme = get_scheme(name)
    for _ in range(12):
        leaves = random_world(name, kind, rng).leaves
        for first in range(len(leaves)):
            last = rng.randint(first + 1, len(leaves))
            before = leaves[first - 1][0] if first else None
            after = leaves[last][0] if last < len(leaves) else None
            run = leaf_run(leaves[first:last])
            expected = outcome(lambda: REFERENCE.frontier(scheme, run, before, after))  # noqa: B023
            assert outcome(lambda: NATIVE.frontier(scheme, run, before, after)) == expected  # noqa: B023
            for limit in (1, 2, 3, 512):
                parts = outcome(lambda: REFERENCE.pieces(scheme, run, limit, before, after))  # noqa: B023
                assert outcome(lambda: NATIVE.pieces(scheme, run, limit, before, after)) == parts  # noqa: B023


@pytest.mark.parametrize("name", STATES)
@given(st.data())
def test_every_scheme_is_folded_alike(name: str, data: st.DataObject) -> None:
    """Fails if a scheme of another chain differs: lifted paths and cut-off bits above all."""
    scheme, leaves = get_scheme(name), data.draw(STATES[name])
    first = data.draw(st.integers(0, len(leaves)))
    last = data.draw(st.integers(first, len(leaves)))
    before = leaves[first - 1][0] if first else None
    after = leaves[last][0] if last < len(leaves) else None
    run = leaf_run(leaves[first:last])
    assert NATIVE.frontier(scheme, run, before, after) == REFERENCE.frontier(scheme, run, before, after)
    assert NATIVE.pieces(scheme, run, 3, before, after) == REFERENCE.pieces(scheme, run, 3, before, after)


@pytest.mark.parametrize("name", [name for name in STATES if get_scheme(name).capabilities.value_hash])
@given(st.data())
def test_hashes_stand_for_values(name: str, data: st.DataObject) -> None:
    """Fails if a leaf known by its value's hash folds to another node than the leaf itself, in either kernel."""
    scheme, leaves = get_scheme(name), data.draw(STATES[name])
    value_hash = scheme.capabilities.value_hash
    assert value_hash is not None
    hashed = [(key, HashedValue(value_hash(value)) if data.draw(st.booleans()) else value) for key, value in leaves]
    first = data.draw(st.integers(0, len(leaves)))
    before = leaves[first - 1][0] if first else None
    expected = REFERENCE.frontier(scheme, leaf_run(leaves[first:]), before, None)
    for kernel in (NATIVE, REFERENCE):
        assert kernel.frontier(scheme, leaf_run(hashed[first:]), before, None) == expected
    # A hash is believed by its type alone: the same bytes as a plain value are another leaf.
    if hashed != leaves:
        plain = leaf_run([(key, bytes(value)) for key, value in hashed])
        assert NATIVE.frontier(scheme, plain) != REFERENCE.frontier(scheme, leaf_run(hashed))


def test_a_hash_of_another_size_is_refused_alike() -> None:
    """Fails if one kernel hashes whatever stands for a value."""
    scheme = get_scheme("nomt-blake3")
    run = LeafRun([bytes(32)], [HashedValue(b"short")])
    expected = outcome(lambda: REFERENCE.frontier(scheme, run))
    assert isinstance(expected, tuple)
    assert expected[0] is InvalidLeafError
    assert outcome(lambda: NATIVE.frontier(scheme, run)) == expected


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_keys_far_outside_serve_as_neighbours(name: str, kind: str, rng: random.Random) -> None:
    """Fails if a neighbour is looked at beyond the digits that it shares."""
    scheme = get_scheme(name)
    for _ in range(12):
        run = leaf_run(random_world(name, kind, rng).leaves)
        outside = sorted(rng.randbytes(rng.randint(0, 70)) for _ in range(2))
        for before, after in ((outside[0], None), (None, outside[1]), (outside[0], outside[1]), (b"", b"\xff" * 70)):
            expected = outcome(lambda: REFERENCE.frontier(scheme, run, before, after))  # noqa: B023
            assert outcome(lambda: NATIVE.frontier(scheme, run, before, after)) == expected  # noqa: B023


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_damaged_leaves_are_refused_alike(name: str, kind: str, rng: random.Random) -> None:
    """Fails if one kernel checks a leaf less strictly, or other words than the reference's reach the caller."""
    scheme = get_scheme(name)
    for _ in range(40):
        leaves = dict(random_world(name, kind, rng).leaves)
        key = rng.choice(list(leaves))
        match rng.randrange(4):
            case 0:
                del leaves[key]
            case 1:
                leaves[key] = rng.randbytes(rng.choice((0, 1, 40, 120)))
            case 2:
                leaves[key[: rng.randrange(len(key) + 1)]] = leaves[key]
            case _:
                value = bytearray(leaves[key] or b"\0")
                value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
                leaves[key] = bytes(value)
        run = leaf_run(sorted(leaves.items()))
        expected = outcome(lambda: REFERENCE.frontier(scheme, run))  # noqa: B023
        assert outcome(lambda: NATIVE.frontier(scheme, run)) == expected  # noqa: B023


@given(st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=6)), unique_by=lambda leaf: leaf[0]))
def test_runs_are_read_alike(leaves: list[tuple[bytes, bytes]]) -> None:
    """Fails if a column is cut in the wrong place."""
    data = leaf_run(sorted(leaves)).encode()
    read = NATIVE.decode(data, leaves_max=len(leaves))
    assert (list(read.keys), list(read.values)) == ([key for key, _ in sorted(leaves)], [v for _, v in sorted(leaves)])
    assert read.encode() is data
    assert read == REFERENCE.decode(data, leaves_max=len(leaves))


@given(
    st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), max_size=4),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=3),
    st.integers(-60, 3),
)
def test_hostile_runs_are_judged_alike(
    leaves: list[tuple[bytes, bytes]], writes: list[tuple[int, int]], tail: int
) -> None:
    """Fails if damaged bytes are read by one and refused by the other, or refused in other words."""
    data = bytearray(leaf_run(leaves).encode())
    for at, byte in writes:
        if at < len(data):
            data[at] = byte
    damaged = bytes(data[: len(data) + tail] if tail < 0 else data + bytes(tail))
    expected = outcome(lambda: REFERENCE.decode(damaged, leaves_max=9).encode())
    assert outcome(lambda: NATIVE.decode(damaged, leaves_max=9).encode()) == expected


def test_the_deepest_trie_of_all_folds_in_both() -> None:
    """Fails if either recurses, or keeps more than one branch a level: 2,000 nested keys, then 65,528 bits of label."""
    scheme = get_scheme("mkvs")
    nested = LeafRun([b"\xa5" * size for size in range(0, 8192, 4)], [b"v"] * 2048)
    lonely = LeafRun([b"\xff" * 8190 + b"\xfe", b"\xff" * 8191], [b"", b"v"])
    for run in (nested, lonely):
        assert NATIVE.frontier(scheme, run) == REFERENCE.frontier(scheme, run)


@pytest.mark.parametrize("name", ["mkvs", "mpt"])
def test_frontiers_of_parts_join_across_kernels(name: str, rng: random.Random) -> None:
    """Fails if a frontier of one kernel cannot be continued by the other: they meet in every restore."""
    scheme = get_scheme(name)
    for _ in range(20):
        leaves = random_world(name, "uniform", rng).leaves
        cuts = sorted({0, len(leaves), rng.randint(0, len(leaves)), rng.randint(0, len(leaves))})
        joined: Frontier = ()
        for index, (first, last) in enumerate(pairwise(cuts)):
            before = leaves[first - 1][0] if first else None
            after = leaves[last][0] if last < len(leaves) else None
            kernel = get_kernel(("native", "reference")[index % 2])
            joined += kernel.frontier(scheme, leaf_run(leaves[first:last]), before, after)
        (whole,) = fold(scheme, joined)
        assert whole[2] == NODE
        assert fold(scheme, joined) == REFERENCE.frontier(scheme, leaf_run(leaves))


def open_both(plain: bytes, *, entries_max: int = 1 << 16, depth_max: int = 128) -> object:
    """What both kernels find in an Oasis chunk, once."""
    expected = outcome(lambda: REFERENCE.open_oasis_chunk(plain, entries_max=entries_max, depth_max=depth_max))
    assert outcome(lambda: NATIVE.open_oasis_chunk(plain, entries_max=entries_max, depth_max=depth_max)) == expected
    return expected


@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
def test_honest_oasis_chunks_open_alike(kind: str, rng: random.Random) -> None:
    """Fails if the hashes of the native walk are not those of the fold, or a limit counts otherwise."""
    for _ in range(40):
        tree = tree_of(random_state(rng, kind, rng.randrange(60)))
        plain = plain_of(list(random_proof(rng, tree, 0).entries))
        opened = open_both(plain, depth_max=1000)
        assert isinstance(opened, OpenedChunk)
        assert opened.root == tree.root_hash
        open_both(plain, entries_max=rng.randrange(130), depth_max=rng.randrange(70))


@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
def test_damaged_oasis_chunks_are_judged_alike(kind: str, rng: random.Random) -> None:
    """Fails if one refuses what the other reads, or other words than the reference's reach the caller."""
    for _ in range(400):
        tree = tree_of(random_state(rng, kind, rng.randrange(1, 12)))
        entries = damaged_entries(list(random_proof(rng, tree, 0).entries), rng)
        plain = bytearray(plain_of(entries))
        match rng.randrange(4):
            case 0 if plain:
                plain[rng.randrange(len(plain))] ^= 1 << rng.randrange(8)
            case 1:
                del plain[rng.randrange(len(plain) + 1) :]
            case 2:
                plain += rng.randbytes(rng.randrange(3))
            case _:
                pass
        open_both(bytes(plain), depth_max=1000)


def damaged_entries(entries: list[bytes | None], rng: random.Random) -> list[bytes | None]:
    """Entries moved, lost, doubled, swapped between null and hash, or with a changed head (tag, sizes, label)."""
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(entries) + 1)
        one = entries[at] if at < len(entries) else None
        match rng.randrange(6):
            case 0:
                rng.shuffle(entries)
            case 1:
                entries[at : at + 1] = []
            case 2:
                entries.insert(at, rng.choice(entries) if entries else None)
            case 3:
                entries[at : at + 1] = [b"\2" + EMPTY_HASH if one is None else None]
            case 4:
                entries[at : at + 1] = [(one or b"\2") + rng.randbytes(rng.choice((1, 32)))]
            case _:
                changed = bytearray(one or b"\1\1")
                changed[rng.randrange(min(8, len(changed)))] ^= 1 << rng.randrange(8)
                entries[at : at + 1] = [bytes(changed)]
    return entries


ODD_SIZES = st.sampled_from((0, 1, 7, 8, 9, 15, 16, 65528, 65535))


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.builds(lambda fill: b"\2" + bytes((fill,)) * 32, st.integers(0, 255)),
            st.builds(
                lambda bits, fill, leaf: encode_branch(bits, bytes((fill,)) * (bits + 7 >> 3), leaf),
                ODD_SIZES,
                st.sampled_from((0x00, 0x80, 0xFF)),
                st.sampled_from(
                    (b"\2", encode_leaf(b"", b""), encode_leaf(b"\xff", b"v"), encode_leaf(b"\0" * 8191, b""))
                ),
            ).map(lambda node: b"\1" + node),
            st.builds(
                lambda size, fill: b"\1" + encode_leaf(bytes((fill,)) * size, b"v"),
                st.sampled_from((0, 1, 2, 8191, 8192)),
                st.sampled_from((0x00, 0x80, 0xFF)),
            ),
        ),
        max_size=9,
    )
)
def test_oasis_chunks_out_of_nothing_are_judged_alike(entries: list[bytes | None]) -> None:
    """Fails at the ends of what there is: paths of 65,528 bits and one more, labels of none, keys one too long."""
    open_both(plain_of(entries))
