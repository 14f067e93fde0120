"""Hostile bytes: whatever is read, only ProofError escapes, soon, and what is accepted has one form."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import LeafRun, ProofError, ProofNode, RangeProof, cbor, get_scheme, leaf_run, verify_range
from proofs.rlp import decode, split_list
from proofs.schemes.mpt import check_reference
from tests.model import rlp
from tests.proofs.states import GENERATORS, KINDS, World, random_world

SIZE_MAX = 4096
LEAVES_MAX = 64
FAST_COUNT = 40
SLOW_COUNT = 4_000


def _mutated(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut, doubled, put in, or turned into a size near a border."""
    mutated = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(mutated) + 1)
        match rng.randrange(6):
            case 0 if at < len(mutated):
                mutated[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(mutated):
                mutated[at] = rng.choice((0, 1, 0x1B, 0x5B, 0x7F, 0x80, 0x9F, 0xBF, 0xC0, 0xF6, 0xF8, 0xFF))
            case 2:
                del mutated[at : at + rng.randint(1, 9)]
            case 3:
                mutated[at:at] = mutated[at : at + rng.randint(1, 40)]
            case 4:
                mutated[at:at] = rng.randbytes(rng.randint(1, 9))
            case _:
                mutated[at : at + 4] = rng.choice((0, 1, 255, 2**16, 2**31, 2**32 - 1)).to_bytes(4, "little")
    return bytes(mutated)


def _refused_or_canonical(read: Callable[[bytes], bytes], data: bytes) -> bool:
    try:
        again = read(data)
    except ProofError:
        return False
    assert again == data
    return True


def _read_proof(data: bytes) -> bytes:
    return RangeProof.decode(data, size_max=SIZE_MAX).encode()


def _read_run(data: bytes) -> bytes:
    return leaf_run(list(LeafRun.decode(data, leaves_max=LEAVES_MAX))).encode()


def _read_rlp(data: bytes) -> bytes:
    return rlp(decode(data))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Fails if a decoder lets another exception out, or accepts what its encoder would not write."""
    for read in (_read_proof, _read_run, _read_rlp):
        _refused_or_canonical(read, data)
    for look in (split_list, check_reference):
        try:
            look(data)
        except ProofError:
            continue


def _fuzz_world(world: World, rng: random.Random, count: int) -> None:
    """Mutated bytes of honest proofs and runs, verified as far as they can be read."""
    first, last = rng.choice(world.cuts)
    proof, run = world.honest(first, last), world.run(first, last)
    sent = proof.encode(), run.encode()
    for _ in range(count):
        parts = [_mutated(part, rng) if rng.random() < 0.6 else part for part in sent]
        _refused_or_canonical(_read_proof, parts[0])
        _refused_or_canonical(_read_run, parts[1])
        try:
            read = RangeProof.decode(parts[0], size_max=SIZE_MAX), LeafRun.decode(parts[1], leaves_max=LEAVES_MAX)
            verified = verify_range(world.scheme, world.root, *read)
        except ProofError:
            continue
        assert world.is_honest(*read)
        assert verified.start == read[0].start


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_mutated_bytes(name: str, kind: str, rng: random.Random) -> None:
    """Fails if any read or comparison on the way to the verdict trusts a size, a type or an order that was sent."""
    for _ in range(3):
        _fuzz_world(random_world(name, kind, rng), rng, FAST_COUNT)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_mutated_bytes_at_length(name: str, kind: str, rng: random.Random) -> None:
    """The same for longer: fails for the same breaks."""
    for _ in range(10):
        _fuzz_world(random_world(name, kind, rng), rng, SLOW_COUNT // 10)


NUMBERS = st.one_of(st.integers(-3, 70), st.integers(-(2**70), 2**70), st.sampled_from((127, 128, 65_528, 2**31)))
REFERENCES = st.one_of(st.binary(max_size=40), st.just(bytes(32)), st.just(rlp([b"\x20", b"v"])))
NODES = st.lists(st.tuples(NUMBERS, NUMBERS, REFERENCES), max_size=4)
BOUNDS = st.one_of(st.binary(max_size=5), st.binary(min_size=30, max_size=70))


@pytest.mark.parametrize("name", sorted(GENERATORS))
@given(
    start=BOUNDS,
    end=st.none() | BOUNDS,
    left=NODES,
    right=NODES,
    leaves=st.dictionaries(BOUNDS, st.sampled_from((b"\x01", b"", b"\xc4\x80\x80\x80\x80")), max_size=3),
)
def test_any_fields(
    name: str,
    start: bytes,
    end: bytes | None,
    left: list[tuple[int, int, bytes]],
    right: list[tuple[int, int, bytes]],
    leaves: dict[bytes, bytes],
) -> None:
    """Fails if a depth, slot or bound of any size meets an index that was not checked."""
    proof = RangeProof(start, end, tuple(ProofNode(*node) for node in left), tuple(ProofNode(*node) for node in right))
    assert RangeProof.decode(proof.encode(), size_max=SIZE_MAX) == proof
    with pytest.raises(ProofError):
        verify_range(get_scheme(name), bytes(32), proof, leaf_run(sorted(leaves.items())))


def test_huge_claims_cost_nothing() -> None:
    """Fails if a count, a depth or a nesting is worked through before it is checked: then this test does not end."""
    huge = [2**63, 2**64 - 1, 2**70]
    for number in huge:
        encoded = cbor.encode([1, b"\x80" * 64, None, [[number, 0, bytes(32)], [number, 1, bytes(32)]], []])
        proof = RangeProof.decode(encoded, size_max=SIZE_MAX)
        for name in GENERATORS:
            with pytest.raises(ProofError):
                verify_range(get_scheme(name), bytes(32), proof, leaf_run([(bytes(32), b"\x01")]))
    for head in (b"\x85\x01\x9b", b"\x9b", b"\x85\x01\x5b"):
        with pytest.raises(ProofError):
            RangeProof.decode(head + b"\x7f" + b"\xff" * 7, size_max=SIZE_MAX)
    with pytest.raises(ProofError):
        LeafRun.decode(b"\xff" * 4, leaves_max=2**32)
