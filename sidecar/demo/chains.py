"""Generated states of the other chains, and traffic on top of them: leaves in the shapes that their nodes write.

JAM: services with storage entries, keys as the Gray Paper interleaves them. NOMT: hashed key paths, values of a few
bytes to a few kilobytes. Solana: accounts with lamports, owners and some data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from random import Random

from proofs import get_scheme
from proofs.schemes.solana import AccountLeaf
from sidecar.demo.traffic import HEIGHT_COUNT, Chapter, World
from sidecar.jam.state_keys import storage_key

__all__ = ["CHAINS", "chain_chapters"]

Leaf = tuple[bytes, bytes]
WRITES = 150
LEAVES = 8_000
SERVICES = 40
PROGRAMS = tuple(sha256(b"program %d" % number).digest() for number in range(12))


def _jam_leaf(rng: Random) -> Leaf:
    service = 1000 + rng.randrange(SERVICES)
    return storage_key(service, rng.randbytes(8)), rng.randbytes(rng.choice((8, 32, 33, 200)))


def _nomt_leaf(rng: Random) -> Leaf:
    return rng.randbytes(32), rng.randbytes(rng.choice((8, 32, 120, 1400)))


def _solana_leaf(rng: Random) -> Leaf:
    data = rng.randbytes(rng.choice((0, 0, 165, 82)))
    return rng.randbytes(32), AccountLeaf(rng.randint(1, 10**12), rng.choice(PROGRAMS), False, data).encode()


CHAINS: dict[str, Callable[[Random], Leaf]] = {
    "jam": _jam_leaf,
    "nomt-blake3": _nomt_leaf,
    "nomt-sha2": _nomt_leaf,
    "solana-lattice": _solana_leaf,
}
"""How to draw a leaf of each chain."""


def chain_chapters(name: str, *, seed: int = 1) -> Iterator[Chapter]:
    """A first state of LEAVES leaves, then HEIGHT_COUNT heights of writes and deletes. `name` is one of CHAINS."""
    rng = Random(seed)  # noqa: S311  (reproducible traffic, no secrets)
    scheme, draw = get_scheme(name), CHAINS[name]
    world = World(scheme, 0, scheme.empty_root, {})
    for _ in range(LEAVES):
        world.put(*draw(rng))
    yield Chapter(world.seal(), f"a first state of {len(world.leaves):,} leaves")
    for _ in range(HEIGHT_COUNT):
        known = sorted(world.leaves)
        gone = rng.sample(known, WRITES // 3)
        for key in gone:
            world.delete(key)
        for key in rng.sample(sorted(world.leaves), WRITES // 3):
            world.put(key, draw(rng)[1])
        for _ in range(WRITES // 3):
            world.put(*draw(rng))
        yield Chapter(world.seal(), f"{WRITES // 3} leaves each are changed, added and deleted")
