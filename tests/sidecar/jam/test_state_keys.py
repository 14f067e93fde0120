"""State keys against a published state: components, accounts, and preimages under the keys of their hashes."""

from __future__ import annotations

import pytest

from sidecar.jam.state_keys import (
    COMPONENTS,
    account_key,
    audit_preimages,
    component_key,
    preimage_key,
    request_key,
    storage_key,
)
from sidecar.jam.trace import Step


def test_a_published_state_has_every_component_and_its_first_account(step: Step) -> None:
    assert all(component_key(index) in step.after.leaves for index in range(1, len(COMPONENTS) + 1))
    assert step.after.leaves[component_key(11)] == step.slot.to_bytes(4, "little")
    assert account_key(0) in step.after.leaves


def test_every_preimage_has_its_request(step: Step) -> None:
    leaves = dict(step.after.leaves)
    assert not list(audit_preimages(leaves))
    preimage = next(key for key, value in leaves.items() if is_preimage(key, value))
    service = int.from_bytes(preimage[0:8:2], "little")
    del leaves[request_key(service, blake2b(leaves[preimage]), len(leaves[preimage]))]
    (violation,) = audit_preimages(leaves)
    assert preimage.hex() in violation.what


def is_preimage(key: bytes, value: bytes) -> bool:
    return key == preimage_key(int.from_bytes(key[0:8:2], "little"), blake2b(value))


def blake2b(data: bytes) -> bytes:
    import hashlib

    return hashlib.blake2b(data, digest_size=32).digest()


def test_forms() -> None:
    assert component_key(7) == b"\7" + bytes(30)
    assert account_key(0x04030201).hex() == "ff01000200030004" + "00" * 23
    digest = blake2b(b"\xff\xff\xff\xffname")
    expected = bytes((1, digest[0], 2, digest[1], 3, digest[2], 4, digest[3])) + digest[4:27]
    assert storage_key(0x04030201, b"name") == expected
    assert len(storage_key(0, b"")) == 31


@pytest.mark.parametrize("service", [-1, 2**32])
def test_a_service_that_does_not_exist(service: int) -> None:
    with pytest.raises(ValueError):
        account_key(service)
    with pytest.raises(ValueError):
        component_key(0)
