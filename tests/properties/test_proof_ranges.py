"""Honest range proofs: always accepted, equal to the oracle's, and true about every key they speak of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations, pairwise

import pytest

from proofs import RangeProof, VerifiedRange, bound_between, get_kernel, verify_range
from tests.model import slim_account, slot_value
from tests.proofs.states import GENERATORS, KINDS, State, World, make_world, random_world

WORLD_COUNT = 4
PROOF_BYTES_MAX = 1_000_000


def _verify(world: World, first: int, last: int) -> VerifiedRange:
    """Prove, send, verify."""
    sent = world.prove(first, last).encode()
    proof = RangeProof.decode(sent, size_max=PROOF_BYTES_MAX)
    return verify_range(world.scheme, world.root, proof, world.run(first, last))


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_every_cut_is_provable_and_true(name: str, kind: str, rng: random.Random) -> None:
    """Fails if the bound is the second key itself, if a node's depth is off by one, or if a value is lost."""
    for _ in range(WORLD_COUNT):
        world = random_world(name, kind, rng)
        for first, last in world.cuts:
            assert world.prove(first, last) == world.honest(first, last)
            verified = _verify(world, first, last)
            assert tuple(verified.run) == world.leaves[first:last]
            assert verified.root_hash == world.root
            assert verified.scheme == name
            _check_statement(world, verified)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_cuts_of_larger_states(name: str, kind: str, rng: random.Random) -> None:
    """Some hundred leaves: many small states under one root. Fails for the same breaks, where paths are longer."""
    state: State = {}
    for _ in range(60):
        state |= GENERATORS[name].kinds[kind](rng)
    world = make_world(name, state)
    assert len(world.leaves) > 30
    for first, last in rng.sample(world.cuts, 25):
        assert world.prove(first, last) == world.honest(first, last)
        assert tuple(_verify(world, first, last).run) == world.leaves[first:last]


def _check_statement(world: World, verified: VerifiedRange) -> None:
    """Presence and absence of every key of the state, and of keys right beside them."""
    state = dict(world.leaves)
    for key in [*state, *(key + b"\0" for key in state), *(key[:-1] for key in state if key)]:
        if key in verified:
            assert verified.get(key) == state.get(key)
        else:
            with pytest.raises(KeyError):
                verified.get(key)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_ranges_tile(name: str, kind: str, rng: random.Random) -> None:
    """Fails if the end of a range and the start of the next are computed differently."""
    world = random_world(name, kind, rng)
    count = len(world.leaves)
    stops = sorted({*rng.sample(range(count), rng.randrange(count)), 0, count})
    ranges = [_verify(world, first, last) for first, last in pairwise(stops)]
    assert ranges[0].start == b""
    assert ranges[-1].end is None
    assert all(one.end == two.start for one, two in pairwise(ranges))
    assert [leaf for one in ranges for leaf in one.run] == list(world.leaves)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_bounds_lie_where_neighbours_part(name: str, kind: str, rng: random.Random) -> None:
    """Fails if a bound does not separate its neighbours, or is another one than the oracle's."""
    world = random_world(name, kind, rng)
    for (before, _), (after, _) in pairwise(world.leaves):
        bound = bound_between(world.scheme, before, after)
        assert before < bound <= after
        assert bound == world.model.bound(before, after)


def _small_states() -> Iterator[tuple[str, State]]:
    """Every state over a few keys that are chosen to be awkward together."""
    keys = (b"", b"\0", b"\0\0", b"\0\x80", b"\x01", b"\x80", b"\xff")
    for size in range(1, len(keys) + 1):
        for chosen in combinations(keys, size):
            yield "mkvs", {key: key[:1] for key in chosen}
            yield "mpt", {key: b"v" + key for key in chosen}
    slots = (bytes(32), bytes(31) + b"\x01", b"\x80" + bytes(31))
    for size in range(len(slots) + 1):
        for chosen in combinations(slots, size):
            storage = {slot: slot_value(7) for slot in chosen}
            contract = {bytes(32): slim_account(1, 2, storage)} | {bytes(32) + s: v for s, v in storage.items()}
            yield "ethereum", contract
            for other in (bytes(31) + b"\x01", b"\x10" + bytes(31)):
                yield "ethereum", contract | {other: slim_account(0, 5, {})}


def test_every_cut_of_every_small_state() -> None:
    """Fails for any rule that only breaks on one arrangement of prefixes, zeros and bounds."""
    kernel = get_kernel("reference")
    for name, state in _small_states():
        world = make_world(name, state)
        for first, last in world.cuts:
            proof = world.prove(first, last)
            assert proof == world.honest(first, last)
            verify_range(world.scheme, world.root, proof, world.run(first, last), kernel=kernel)
