"""Offers and Work: who answers for which manifest, and what is still to be fetched by it."""

from __future__ import annotations

import pytest

from sync.manifest import CodeEntry, Cut, LeafEntry, Manifest
from sync.offers import OFFERS_PER_PEER_MAX, Offer, Offers, Work
from sync.root import Root

LEAF_CHUNKS = tuple(LeafEntry(bytes([n]) if n else b"", 1, 14, bytes(32), 20, bytes(32)) for n in range(4))
CODE_CHUNKS = tuple(CodeEntry(bytes([n]) * 32, 1, 100, bytes(32)) for n in (10, 20, 30))
MANIFEST = Manifest(Root("ethereum", "", b"", 1, bytes(32)), Cut(), LEAF_CHUNKS, CODE_CHUNKS)


def work(*givers: str) -> Work:
    made = Work(Offer(MANIFEST.digest, dict.fromkeys(givers), manifest=MANIFEST))
    made.add(made.leaf_chunks())
    return made


def test_a_peer_that_withdrew_is_no_giver_again() -> None:
    """Fails if a peer can list a manifest, refuse it, and list it again for ever."""
    offers = Offers()
    offers.add("a", b"one")
    offers.add("b", b"one")
    offers[b"one"].withdraw("a")
    offers.add("a", b"one")
    assert offers.by("a") == []
    assert offers.by("b") == [offers[b"one"]]


def test_a_peer_offers_so_many() -> None:
    offers = Offers()
    for n in range(OFFERS_PER_PEER_MAX + 5):
        offers.add("a", bytes([n]))
    assert len(offers.by("a")) == OFFERS_PER_PEER_MAX


def test_the_best_is_known_alive_and_given_by_most() -> None:
    offers = Offers()
    for peer, digest in (("a", b"one"), ("b", b"two"), ("c", b"two"), ("a", b"unknown"), ("b", b"unknown")):
        offers.add(peer, digest)
    assert offers.best(["a", "b", "c"]) is None
    for digest in (b"one", b"two"):
        offers[digest].manifest = MANIFEST
    assert offers.best(["a", "b", "c"]) is offers[b"two"]
    assert offers.best(["a", "b"]) is offers[b"one"]
    assert offers.best([]) is None
    offers[b"two"].dead = True
    assert offers.best(["b", "c"]) is None


def test_chunks_are_taken_lowest_first_by_givers_only() -> None:
    made = work("a")
    assert [made.take("a"), made.take("b"), made.take("a")] == [0, None, 1]
    made.add([1, 0, 3])
    assert (made.waiting, made.take("a")) == (4, 0)
    assert made.waiting_bytes == 3 * 34


def test_a_refused_chunk_is_taken_by_others() -> None:
    made = work("a", "b")
    made.refuse("a", 0)
    assert [made.take("a"), made.take("b")] == [1, 0]


def test_it_is_served_while_somebody_has_each_chunk() -> None:
    made = work("a", "b")
    assert not made.served([])
    assert not made.served(["c"])
    made.refuse("a", 2)
    assert made.served(["a", "b"])
    assert not made.served(["a"])
    made.refuse("b", 2)
    assert not made.served(["a", "b"])
    made.finish(2)
    assert made.served(["a"])
    assert made.is_finished(2)
    assert not made.is_finished(1)


def test_ranges_end_where_the_next_of_their_kind_begins() -> None:
    made = work("a")
    assert [made.end(index) for index in range(7)] == [
        *(b"\1", b"\2", b"\3", None),
        *(bytes([20]) * 32, bytes([30]) * 32, None),
    ]


@pytest.mark.parametrize(
    ("hashes", "indexes"),
    [([], []), ([15], [4]), ([20], [5]), ([255], [6]), ([10, 12, 31], [4, 6]), ([1], [])],
)
def test_code_chunks_by_what_is_missing(hashes: list[int], indexes: list[int]) -> None:
    assert work("a").code_chunks_of([bytes([n]) * 32 for n in hashes]) == indexes
