"""Recorded Ethereum state changes (a JSON list of blocks) as write logs.

A block is `{n, root, parentRoot, accounts, slots, codes, hash}`: `n` is its number as text or integer, `accounts` maps
keccak(address) to the slim RLP of the account or null, `slots` maps keccak(address) to keccak(slot) to the RLP of the
value or null, `codes` maps a code's hash to the code. The last three are missing when empty; `hash`, the block's, is
not part of the state and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flatdb import WriteLog
from sidecar.errors import InvalidImportError
from sidecar.importers.json_input import parse_bytes, parse_document, parse_number, parse_object

__all__ = ["convert_writelogs"]

BLOCK_FIELDS = frozenset(("n", "hash", "parentRoot", "root", "accounts", "slots", "codes"))

_HASH_BYTES = 32


def convert_writelogs(document: bytes) -> Iterator[WriteLog]:
    """One write log for each block, in the order of the list.

    Raises:
        InvalidImportError: when the block at fault is reached.
    """
    blocks = parse_document(document)
    if not isinstance(blocks, list):
        raise InvalidImportError("document", "expected a list of blocks")
    for index, block in enumerate(blocks):
        yield _convert_block(f"[{index}]", parse_object(f"[{index}]", block))


def _convert_block(where: str, block: Mapping[str, object]) -> WriteLog:
    unknown = sorted(set(block) - BLOCK_FIELDS)
    if unknown:
        raise InvalidImportError(where, f"a block has no field {unknown[0]!r}")
    missing = [name for name in ("n", "root") if name not in block]
    if missing:
        raise InvalidImportError(where, f"the field {missing[0]!r} is missing")
    writes = dict(_accounts(f"{where}.accounts", block.get("accounts") or {}))
    writes.update(_slots(f"{where}.slots", block.get("slots") or {}))
    parent = block.get("parentRoot")
    return WriteLog(
        height=parse_number(f"{where}.n", block["n"], bits_max=63),
        parent_root=None if parent is None else parse_bytes(f"{where}.parentRoot", parent, size=_HASH_BYTES),
        root=parse_bytes(f"{where}.root", block["root"], size=_HASH_BYTES),
        writes=tuple(sorted(writes.items())),
        code=tuple(sorted(_codes(f"{where}.codes", block.get("codes") or {}))),
    )


def _accounts(where: str, untrusted: object) -> Iterator[tuple[bytes, bytes | None]]:
    for owner, account in parse_object(where, untrusted).items():
        at = f"{where}.{owner[:66]}"
        yield parse_bytes(at, owner, size=_HASH_BYTES), _value(at, account)


def _slots(where: str, untrusted: object) -> Iterator[tuple[bytes, bytes | None]]:
    for owner, slots in parse_object(where, untrusted).items():
        at = f"{where}.{owner[:66]}"
        prefix = parse_bytes(at, owner, size=_HASH_BYTES)
        for slot, value in parse_object(at, slots).items():
            yield prefix + parse_bytes(at, slot, size=_HASH_BYTES), _value(f"{at}.{slot[:66]}", value)


def _codes(where: str, untrusted: object) -> Iterator[tuple[bytes, bytes]]:
    for digest, code in parse_object(where, untrusted).items():
        at = f"{where}.{digest[:66]}"
        yield parse_bytes(at, digest, size=_HASH_BYTES), parse_bytes(at, code)


def _value(where: str, untrusted: object) -> bytes | None:
    return None if untrusted is None else parse_bytes(where, untrusted)
