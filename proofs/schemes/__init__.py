"""The commitment schemes, one file each, by name."""

from __future__ import annotations

from proofs.errors import UnknownSchemeError
from proofs.scheme import Scheme
from proofs.schemes.ethereum import Ethereum
from proofs.schemes.jam import JAM
from proofs.schemes.mkvs import MKVS
from proofs.schemes.mpt import MPT
from proofs.schemes.nomt import nomt_blake3, nomt_sha2
from proofs.schemes.solana import SolanaLattice

__all__ = ["SCHEMES", "get_scheme"]

SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme for scheme in (MKVS(), MPT(), Ethereum(), JAM(), nomt_blake3(), nomt_sha2(), SolanaLattice())
}


def get_scheme(name: str) -> Scheme:
    """The scheme called `name`.

    Raises:
        UnknownSchemeError
    """
    try:
        return SCHEMES[name]
    except KeyError:
        raise UnknownSchemeError(name, tuple(SCHEMES)) from None
