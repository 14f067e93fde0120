"""`leafmirror get`: one leaf, found by key or by Ethereum address and slot, and the proof of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from proofs.hashing import keccak256
from proofs.rlp import decode
from proofs.schemes.ethereum import Account
from proofs.schemes.nomt import NOMT
from sidecar.cli.failure import ExitCode
from sidecar.cli.options import AsJSON, MirrorPath, hex_bytes
from sidecar.cli.output import print_json, print_line, print_pairs, print_verdict
from sidecar.leaf_proof import nomt_path, prove_leaf
from sync.mirror import Mirror
from sync.wire import encode_proof

__all__ = ["get"]

ADDRESS_BYTES = 20


class ProofForm(StrEnum):
    """How a proof is written."""

    OURS = "leafmirror"
    NOMT_PATH = "nomt-path"


SLOT_BITS = 256


def get(
    path: MirrorPath,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Leaf key in hex.", show_default=False)] = None,
    address: Annotated[
        bytes | None, typer.Option("--address", metavar="HEX", parser=hex_bytes, help="Ethereum: an account.")
    ] = None,
    slot: Annotated[
        str | None, typer.Option("--slot", metavar="N", help="Ethereum: a slot of it, decimal or 0x and hex.")
    ] = None,
    proof_file: Annotated[
        Path | None, typer.Option("--proof", metavar="FILE", help="Write the proof of what was found, or of absence.")
    ] = None,
    proof_form: Annotated[
        ProofForm, typer.Option("--proof-form", help="Ours, or NOMT's own path proof for its verifier.")
    ] = ProofForm.OURS,
    as_json: AsJSON = False,
) -> None:
    """Print one leaf's value. Exit code 1 if there is no such leaf."""
    with Mirror.open(path, read_only=True) as mirror:
        leaf_key = _leaf_key(mirror.scheme.name, key, address, slot)
        value = mirror.get(leaf_key)
        if proof_file is not None:
            _write_proof(mirror, leaf_key, proof_file, proof_form)
        head = mirror.head
    meaning = {} if value is None else _meaning(mirror.scheme.name, leaf_key, value)
    if as_json:
        fields = {"height": None if head is None else head.height, "key": leaf_key, "value": value}
        proof = None if proof_file is None else str(proof_file)
        print_json("get", fields | {"found": value is not None, "meaning": meaning, "proof": proof})
    elif value is None:
        print_verdict(False, f"no leaf 0x{leaf_key.hex()}" + (f"; {proof_file} proves it" if proof_file else ""))
    else:
        print_line(value.hex())
        print_pairs(meaning.items())
    if value is None:
        raise typer.Exit(ExitCode.WRONG)


def _leaf_key(scheme: str, key: str | None, address: bytes | None, slot: str | None) -> bytes:
    if (key is None) == (address is None):
        raise typer.BadParameter("name one leaf: KEY in hex, or --address")
    if key is not None:
        if slot is not None:
            raise typer.BadParameter("--slot goes with --address")
        return hex_bytes(key)
    assert address is not None
    if scheme != "ethereum":
        raise typer.BadParameter(f"--address is for mirrors of the scheme ethereum, not {scheme}")
    if len(address) != ADDRESS_BYTES:
        raise typer.BadParameter(f"an address has {ADDRESS_BYTES} bytes, not {len(address)}")
    owner = keccak256(address)
    return owner if slot is None else owner + keccak256(_slot(slot).to_bytes(SLOT_BITS // 8))


def _slot(text: str) -> int:
    try:
        number = int(text, 16) if text[:2] in ("0x", "0X") else int(text)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << SLOT_BITS:
        raise typer.BadParameter(f"{text!r}: a slot is a number from 0 to 2**{SLOT_BITS} - 1, decimal or 0x and hex")
    return number


def _meaning(scheme: str, key: bytes, value: bytes) -> dict[str, object]:
    """What the bytes say, where the scheme gives them a meaning; numbers as decimal text, as JSON has no big ones."""
    if scheme != "ethereum":
        return {}
    if len(key) == 2 * len(keccak256(b"")):
        number = decode(value)
        assert isinstance(number, bytes)
        return {"number": str(int.from_bytes(number))}
    account = Account.from_slim(key, value)
    return {
        "nonce": account.nonce,
        "balance": str(account.balance),
        "storage_root": account.storage_root.hex(),
        "code_hash": account.code_hash.hex(),
    }


def _write_proof(mirror: Mirror, key: bytes, file: Path, form: ProofForm) -> None:
    """Ours is the form in which the endpoint answers, too."""
    root, scheme = mirror.claimed_root or mirror.root(), mirror.scheme
    if form is ProofForm.OURS:
        file.write_bytes(encode_proof(*prove_leaf(mirror, key, root.hash)))
    elif isinstance(scheme, NOMT):
        file.write_bytes(nomt_path(scheme, *prove_leaf(mirror, key, root.hash), key))
    else:
        raise typer.BadParameter(f"--proof-form {form} is for mirrors of NOMT, not of {scheme.name}")
