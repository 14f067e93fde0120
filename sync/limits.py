"""Limits: every bound on what comes from outside, each with its unit, in one place.

Passed explicitly to whatever reads untrusted bytes and checked before the work, never after. The defaults let the
largest legal leaf of any scheme through (a value of 64 MiB is a chunk by itself).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits"]

_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper bounds. `*_bytes_max` in bytes, `*_s` in seconds, the rest are counts. All are positive.

    Raises:
        ValueError: a limit that is not positive.
    """

    # one chunk
    chunk_bytes_max: int = 65 * _MIB
    """Canonical bytes of one leaf run or code run, before compression."""
    chunk_leaves_max: int = 2**20
    """Leaves (or code blobs) in one chunk."""
    proof_bytes_max: int = 8 * _MIB
    """Canonical bytes of one range proof: two paths of the deepest trie (65,528 branches), about 40 bytes each."""
    code_bytes_max: int = 16 * _MIB
    """One code blob."""

    # one checkpoint
    manifest_bytes_max: int = 64 * _MIB
    """Canonical bytes of a manifest."""
    chunks_max: int = 2**19
    """Leaf chunks and code chunks in one manifest."""
    leaves_max: int = 2**40
    """Leaves in one checkpoint."""
    checkpoint_bytes_max: int = 2**50
    """Canonical bytes of all runs and proofs of one checkpoint."""
    spine_bytes_max: int = 256 * _MIB
    """Stored bytes of a spine: ours, but read back from a disk."""

    # answers
    proof_leaves_max: int = 2**16
    """Leaves in one answer to a proof request."""
    checkpoints_listed_max: int = 1024
    """Checkpoints in one listing."""
    listing_bytes_max: int = _MIB
    """Bytes of one listing, or of any small answer."""
    write_logs_max: int = 1024
    """Write logs in one answer."""
    write_logs_bytes_max: int = 64 * _MIB
    """Bytes of one answer of write logs."""
    request_bytes_max: int = 64 * 1024
    """Bytes of one request, headers included; requests have no bodies."""

    # the network
    peers_max: int = 64
    """Peers of one restore."""
    requests_per_peer_max: int = 4
    """Requests in flight at one peer."""
    chunks_in_flight_max: int = 16
    """Chunks that a restore holds in memory at once."""
    bytes_in_flight_max: int = 256 * _MIB
    """Their bytes; a single larger chunk is held by itself."""
    clients_max: int = 256
    """Clients that an endpoint serves at once."""
    requests_per_client_max: int = 16
    """Requests in flight that an endpoint serves to one client."""
    requests_max: int = 512
    """Requests in flight that an endpoint serves in all."""
    client_bytes_per_s_max: int = 256 * _MIB
    """Bytes that an endpoint sends to one client, averaged over a few seconds."""
    served_bytes_per_s_max: int = 2048 * _MIB
    """The same to all clients together."""
    peer_bytes_per_s_min: int = 16 * 1024
    """Throughput floor: a request at a slower peer, or of a slower client, is ended."""
    hedge_after_s: float = 2.0
    """Age at which the last chunks in flight are also asked for elsewhere, at the earliest."""
    connect_timeout_s: float = 10.0
    """Until a connection stands."""
    stall_timeout_s: float = 20.0
    """Without a single byte."""
    request_timeout_s: float = 600.0
    """One whole request, however slowly it trickles."""
    shutdown_timeout_s: float = 10.0
    """For requests under way when an endpoint is told to stop."""
    attempts_max: int = 8
    """Attempts at one peer before it is given up for this restore."""
    listings_empty_max: int = 2
    """Listings without the root, from every peer that answers, before a restore without chunks to fetch gives up."""
    backoff_s_max: float = 30.0
    """Between two attempts at one peer."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} must be positive")

    @property
    def stored_chunk_bytes_max(self) -> int:
        """Stored bytes of one chunk: a part that does not shrink is kept as it is, so storing adds its headers only."""
        return self.chunk_bytes_max + self.proof_bytes_max + 16
