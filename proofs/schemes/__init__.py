"""The commitment schemes, one file each, by name."""

from __future__ import annotations

from proofs.errors import UnknownSchemeError
from proofs.scheme import Scheme, check_order
from proofs.schemes.ethereum import Ethereum
from proofs.schemes.jam import JAM
from proofs.schemes.mkvs import MKVS
from proofs.schemes.mpt import MPT
from proofs.schemes.nomt import nomt_blake3, nomt_sha2
from proofs.schemes.solana import SolanaLattice

__all__ = ["SCHEMES", "get_scheme", "scheme_table"]


def scheme_table(*schemes: Scheme) -> dict[str, Scheme]:
    """Schemes by name.

    Raises:
        UnorderedSchemeError: one of them cannot be mirrored.
    """
    for scheme in schemes:
        check_order(scheme)
    return {scheme.name: scheme for scheme in schemes}


SCHEMES = scheme_table(MKVS(), MPT(), Ethereum(), JAM(), nomt_blake3(), nomt_sha2(), SolanaLattice())


def get_scheme(name: str) -> Scheme:
    """The scheme called `name`.

    Raises:
        UnknownSchemeError
    """
    try:
        return SCHEMES[name]
    except KeyError:
        raise UnknownSchemeError(name, tuple(SCHEMES)) from None
