"""What a root *is*: commitment schemes, the fold from leaves to root, range proofs.

Pure: no files, no network, no database, no clock, and nothing of ours below it.
"""

from __future__ import annotations

from proofs.boundary import account_nodes, read_value, verify_boundary
from proofs.cut import Piece, pieces, subtree_cut
from proofs.errors import (
    IncompleteRangeError,
    InvalidLeafError,
    LeafOrderError,
    MalformedProofError,
    MisplacedNodeError,
    MissingNodeError,
    ProofError,
    RootMismatchError,
    UnknownSchemeError,
    UnorderedSchemeError,
)
from proofs.fold import LEAF, NODE, STEM, VALUE, Frontier, Item, fold, frontier_root, leaf_items, state_root
from proofs.kernel import Kernel, KernelUnavailableError, get_kernel
from proofs.leafrun import LeafRun, leaf_run
from proofs.range_proof import (
    ProofNode,
    RangeProof,
    VerifiedRange,
    bound_between,
    prove_range,
    verify_range,
)
from proofs.scheme import Capabilities, HashedValue, Scheme, Write
from proofs.schemes import SCHEMES, get_scheme

__all__ = [
    "LEAF",
    "NODE",
    "SCHEMES",
    "STEM",
    "VALUE",
    "Capabilities",
    "Frontier",
    "HashedValue",
    "IncompleteRangeError",
    "InvalidLeafError",
    "Item",
    "Kernel",
    "KernelUnavailableError",
    "LeafOrderError",
    "LeafRun",
    "MalformedProofError",
    "MisplacedNodeError",
    "MissingNodeError",
    "Piece",
    "ProofError",
    "ProofNode",
    "RangeProof",
    "RootMismatchError",
    "Scheme",
    "UnknownSchemeError",
    "UnorderedSchemeError",
    "VerifiedRange",
    "Write",
    "account_nodes",
    "bound_between",
    "fold",
    "frontier_root",
    "get_kernel",
    "get_scheme",
    "leaf_items",
    "leaf_run",
    "pieces",
    "prove_range",
    "read_value",
    "state_root",
    "subtree_cut",
    "verify_boundary",
    "verify_range",
]
