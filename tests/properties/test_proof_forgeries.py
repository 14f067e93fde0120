"""Forged range proofs: never accepted as other leaves, never accepted in a second form.

The oracle decides what is honest. Each test's docstring names breaks of the code that make it fail; all of them fail
together with the forgeries of tests/proofs/test_range_proof.py, which show one lie each.
"""

from __future__ import annotations

import random

import pytest

from proofs import SCHEMES, ProofError, get_kernel, verify_range
from tests.proofs.forgery import edits, judge_forgery, random_forgery
from tests.proofs.states import GENERATORS, KINDS, kernel_names, random_world

FORGERY_COUNT_MIN = 100_000
"""A scheme, in the slow run."""
PAIRS = [(name, kind, other) for name, kind in KINDS for other in sorted(SCHEMES) if other != name]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_no_single_edit_passes(name: str, kind: str, rng: random.Random) -> None:
    """Fails if a leaf is not checked to be legal, if a node's depth is not compared with where its parent branches, if
    nodes need not be in order or may reach into the range, if a bound is not compared with the neighbours, if a
    reference is not decoded strictly, or if the right side may be written opened.
    """
    world = random_world(name, kind, rng)
    for cut in rng.sample(world.cuts, min(4, len(world.cuts))):
        for forgery in edits(world, *cut, rng):
            judge_forgery(world, forgery)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_no_mixture_passes(name: str, kind: str, rng: random.Random) -> None:
    """The same with parts of several honest proofs put together: fails if bounds, nodes and leaves are each judged
    alone and not against each other.
    """
    for _ in range(4):
        world = random_world(name, kind, rng)
        for _ in range(150):
            judge_forgery(world, random_forgery(world, rng))


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_another_root_is_refused(name: str, kind: str, rng: random.Random) -> None:
    """Fails if the computed root is not compared, or compared in part."""
    world = random_world(name, kind, rng)
    first, last = rng.choice(world.cuts)
    proof, run = world.prove(first, last), world.run(first, last)
    for at in range(32):
        wrong = bytes(byte ^ (at == index) for index, byte in enumerate(world.root))
        with pytest.raises(ProofError):
            verify_range(world.scheme, wrong, proof, run)
    for wrong in (b"", world.root[:31], world.root + b"\0", world.scheme.empty_root):
        with pytest.raises(ProofError):
            verify_range(world.scheme, wrong, proof, run)


@pytest.mark.parametrize(("name", "kind", "other"), PAIRS)
def test_another_scheme_is_refused(name: str, kind: str, other: str, rng: random.Random) -> None:
    """Fails if schemes share a hash domain without their leaves being checked."""
    for _ in range(4):
        world = random_world(name, kind, rng)
        for first, last in world.cuts:
            with pytest.raises(ProofError):
                verify_range(SCHEMES[other], world.root, world.honest(first, last), world.run(first, last))


@pytest.mark.slow
@pytest.mark.parametrize("kernel", kernel_names())
@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_no_forgery_among_many(name: str, kernel: str, rng: random.Random) -> None:
    """The first two tests of this module, 100,000 forgeries and more for each scheme: fails for the same breaks, and
    for those that need a rare state.
    """
    count = refused = 0
    kinds = sorted(GENERATORS[name].kinds)
    judge = get_kernel(kernel)
    while count < FORGERY_COUNT_MIN:
        world = random_world(name, kinds[count % len(kinds)], rng)
        forgeries = list(edits(world, *rng.choice(world.cuts), rng))
        forgeries += [random_forgery(world, rng) for _ in range(300)]
        refused += sum(not judge_forgery(world, forgery, judge) for forgery in forgeries)
        count += len(forgeries)
    assert refused > 0.9 * count
