"""State keys of JAM: what the 31 bytes of a leaf's key stand for (Gray Paper 0.6.7 and later, appendix D.1).

The trie knows keys as bytes only. These functions give readers the key of what they look for, and let a mirror audit
itself without any rule of JAM's: every preimage lies under the key of its own hash, and has its request beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from flatdb import Violation
from proofs.schemes.jam import KEY_BYTES, blake2b_256

__all__ = [
    "COMPONENTS",
    "account_key",
    "audit_preimages",
    "component_key",
    "preimage_key",
    "request_key",
    "storage_key",
]

COMPONENTS = (
    "authorizer pools",
    "authorizer queues",
    "recent history",
    "safrole",
    "disputes",
    "entropy",
    "next validators",
    "active validators",
    "previous validators",
    "pending reports",
    "timeslot",
    "privileges",
    "statistics",
    "accumulation queue",
    "accumulation history",
    "last accumulation outputs",
)
"""What the leaves under component keys 1 to 16 hold, in order."""

_ACCOUNTS = 255
_STORAGE = 2**32 - 1
_PREIMAGES = 2**32 - 2
_SERVICE_MAX = 2**32 - 1


def component_key(index: int) -> bytes:
    """C(i): the key of a state component, 1 to 16, or 255 for what all accounts begin with."""
    if not 1 <= index <= _ACCOUNTS:
        raise ValueError(f"components are numbered 1 to {_ACCOUNTS}, not {index}")
    return bytes((index,)).ljust(KEY_BYTES, b"\0")


def account_key(service: int) -> bytes:
    """C(255, s): the key of a service's account."""
    n = _service_bytes(service)
    return bytes((_ACCOUNTS, n[0], 0, n[1], 0, n[2], 0, n[3])).ljust(KEY_BYTES, b"\0")


def storage_key(service: int, key: bytes) -> bytes:
    """The key of an entry in a service's storage."""
    return _service_key(service, _STORAGE, key)


def preimage_key(service: int, digest: bytes) -> bytes:
    """The key of a preimage, from its BLAKE2b-256 hash."""
    return _service_key(service, _PREIMAGES, digest)


def request_key(service: int, digest: bytes, size: int) -> bytes:
    """The key of the request for a preimage of `size` bytes."""
    return _service_key(service, size, digest)


def audit_preimages(leaves: Mapping[bytes, bytes]) -> Iterator[Violation]:
    """Preimages whose request is missing.

    A leaf is a preimage when its key is that of its own value's hash; no other leaf can be, so a preimage with a
    flipped bit is only found by the fold.
    """
    for key, service in _service_leaves(leaves):
        value = leaves[key]
        digest = blake2b_256(value)
        if key == preimage_key(service, digest) and request_key(service, digest, len(value)) not in leaves:
            yield Violation("leaves", f"preimage {key.hex()} of service {service} has no request")


def _service_leaves(keys: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Keys that can be of the form C(s, h), with their service."""
    for key in keys:
        yield key, int.from_bytes(bytes((key[0], key[2], key[4], key[6])), "little")


def _service_key(service: int, kind: int, hashed: bytes) -> bytes:
    """C(s, h): service and hash, byte by byte in turn."""
    n, a = _service_bytes(service), blake2b_256(kind.to_bytes(4, "little") + hashed)
    return bytes((n[0], a[0], n[1], a[1], n[2], a[2], n[3], a[3])) + a[4:27]


def _service_bytes(service: int) -> bytes:
    if not 0 <= service <= _SERVICE_MAX:
        raise ValueError(f"service ids are 0 to {_SERVICE_MAX}, not {service}")
    return service.to_bytes(4, "little")
