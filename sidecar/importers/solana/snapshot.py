"""From a snapshot archive to verified leaves: which record wins, and what must add up before anything counts.

Order of judgement: the manifest's bank hash and the archive's name, before any account is read; then every record
in the archive, sorted outside of memory; last, while the leaves are handed out, the sum over them. The leaves of a
generator that has not ended are unverified: whoever takes them keeps them staged.

Who wins: of the records of one address, that of the highest slot, and in one slot the later one. An account whose
last record has no lamports is closed.

When the sum is not the manifest's, the damaged byte is searched for (`damage`) before the archive is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import IO, NoReturn

from flatdb import WriteLog
from proofs import get_scheme, lattice
from proofs.schemes.solana import AccountLeaf
from sidecar.errors import DamagedSnapshotError, InvalidImportError, SnapshotMismatchError
from sidecar.importers.external_sort import ExternalSorter
from sidecar.importers.solana.account_file import read_accounts
from sidecar.importers.solana.accounts_hash import AccountsTree, account_hash
from sidecar.importers.solana.archive import ArchiveEntry, SnapshotLimits, read_archive
from sidecar.importers.solana.damage import Difference, find_damage
from sidecar.importers.solana.manifest import Manifest, StoredFile, parse_manifest
from sidecar.importers.solana.snapshot_name import SnapshotName, address_text
from sidecar.importers.solana.stored_record import StoredRecord

__all__ = ["Base", "Snapshot", "read_snapshot"]

SNAPSHOT_VERSION = b"1.2.0"
_SCHEME = get_scheme("solana-lattice")


@dataclass(frozen=True, slots=True)
class Base:
    """The full state that an incremental snapshot continues: a mirror at the base slot."""

    slot: int
    lattice: bytes
    capitalization: int
    get: Callable[[bytes], bytes | None]
    """The leaf's value of an address, or None."""


class Snapshot:
    """A read archive: its manifest, and the records of its accounts in a sorter that the caller owns."""

    def __init__(self, manifest: Manifest, records: ExternalSorter) -> None:
        self.manifest = manifest
        self._records = records

    @property
    def root(self) -> bytes | None:
        """The root hash that the manifest claims; None in archives older than the lattice."""
        return None if self.manifest.lattice is None else lattice.checksum(self.manifest.lattice)

    def leaves(self) -> Iterator[tuple[bytes, bytes]]:
        """Live accounts of a full snapshot, in address order. Verified when the generator ends, not before.

        Raises:
            InvalidImportError: a leaf that no bank holds, or another capitalization or accounts hash.
            DamagedSnapshotError: one damaged byte keeps the accounts from adding up to the manifest's lattice.
            SnapshotMismatchError: they do not add up, and no single byte explains it.
        """
        manifest = self.manifest
        running, tree, lamports = lattice.LatticeSum(), AccountsTree(), 0
        for record in self._winners():
            address, leaf = record.address, record.leaf
            if leaf is None:
                continue
            running.add(_element(address, leaf))
            if manifest.lattice is None:
                tree.add(account_hash(address, record.rent_epoch, leaf))
            lamports += AccountLeaf.decode(leaf).lamports
            yield address, leaf
        if manifest.lattice is None and tree.root() != manifest.accounts_hash:
            raise SnapshotMismatchError("accounts", manifest.accounts_hash, tree.root())
        self._check_total(running.value(), lamports, lambda _: None)

    def write_log(self, base: Base) -> WriteLog:
        """The write log of an incremental snapshot, verified: base lattice - old accounts + new ones.

        Raises:
            InvalidImportError: another base, or another capitalization.
            DamagedSnapshotError: one damaged byte keeps the accounts from adding up to the manifest's lattice.
            SnapshotMismatchError: they do not add up, and no single byte explains it.
        """
        manifest = self.manifest
        if manifest.lattice is None:
            raise InvalidImportError("manifest", "incremental snapshots are read with a lattice hash only")
        if manifest.slot <= base.slot:
            raise InvalidImportError("manifest", f"slot {manifest.slot} does not follow the base slot {base.slot}")
        removed, added = lattice.LatticeSum(), lattice.LatticeSum()
        writes: list[tuple[bytes, bytes | None]] = []
        lamports = base.capitalization
        for record in self._winners():
            address, leaf = record.address, record.leaf
            old = base.get(address)
            if old == leaf:
                continue
            if old is not None:
                removed.add(_element(address, old))
                lamports -= AccountLeaf.decode(old).lamports
            if leaf is not None:
                added.add(_element(address, leaf))
                lamports += AccountLeaf.decode(leaf).lamports
            writes.append((address, leaf))
        total = lattice.subtract(lattice.add(base.lattice, added.value()), removed.value())
        self._check_total(total, lamports, base.get)
        return WriteLog(
            height=manifest.slot,
            parent_root=lattice.checksum(base.lattice),
            root=lattice.checksum(total),
            writes=tuple(writes),
        )

    def _winners(self) -> Iterator[StoredRecord]:
        """The last record of each address, in address order."""
        for _, history in groupby(self._stored(), attrgetter("address")):
            yield deque(history, maxlen=1)[0]

    def _stored(self) -> Iterator[StoredRecord]:
        return (StoredRecord.decode(key, value) for key, value in self._records.sorted())

    def _check_total(self, total: bytes, lamports: int, before: Callable[[bytes], bytes | None]) -> None:
        """The accounts are all the accounts of the bank: sum and capitalization agree."""
        manifest = self.manifest
        if manifest.lattice is not None and total != manifest.lattice:
            missing = lattice.subtract(manifest.lattice, total)
            self._name_damage(total, Difference(missing, manifest.capitalization - lamports, before))
        if lamports != manifest.capitalization:
            where = "accounts" if manifest.lattice is None else manifest.entry_name
            raise InvalidImportError(where, f"says {manifest.capitalization} lamports; the accounts hold {lamports}")

    def _name_damage(self, total: bytes, difference: Difference) -> NoReturn:
        expected, computed = lattice.checksum(lattice.add(total, difference.lattice)), lattice.checksum(total)
        damage = find_damage(self._stored(), difference)
        if damage is None:
            raise SnapshotMismatchError("accounts", expected, computed)
        file = next(stored.name for stored in self.manifest.files if stored.slot == damage.slot)
        address = address_text(damage.address)
        raise DamagedSnapshotError(
            file, damage.offset, address, expected, computed, found=damage.found, repaired=damage.repaired
        )


def read_snapshot(
    file: IO[bytes],
    name: SnapshotName | None,
    records: ExternalSorter,
    *,
    bank_hash: bytes | None = None,
    limits: SnapshotLimits | None = None,
) -> Snapshot:
    """Read a whole archive into `records`; judge its manifest on the way.

    `name` is what the archive's file name claims, `bank_hash` what consensus vouches for; what is given must agree.

    Raises:
        InvalidImportError: an archive that no validator wrote.
        SnapshotMismatchError: `bank_hash` or the name says otherwise than the manifest.
    """
    limits = limits or SnapshotLimits()
    manifest: Manifest | None = None
    files: dict[int, StoredFile] = {}
    for entry in read_archive(file, limits):
        if entry.name == "version":
            if (found := entry.read(64).strip()) != SNAPSHOT_VERSION:
                raise InvalidImportError("version", f"snapshot version {found.decode('ascii', 'replace')!a}")
        elif entry.name.startswith("accounts/"):
            if manifest is None:
                raise InvalidImportError(entry.name, "account files come before the manifest")
            _read_file(entry, files, records)
        elif entry.name != "snapshots/status_cache":
            if manifest is not None:
                raise InvalidImportError(entry.name, "a second manifest")
            manifest = _read_manifest(entry, limits)
            _check_manifest(manifest, name, bank_hash)
            files = {stored.slot: stored for stored in manifest.files}
    if manifest is None:
        raise InvalidImportError("archive", "holds no manifest")
    missing = sorted(stored.slot for stored in files.values() if stored.size)
    if missing:
        raise InvalidImportError("archive", f"lacks the accounts of slot {missing[0]} and of {len(missing) - 1} more")
    return Snapshot(manifest, records)


def _read_manifest(entry: ArchiveEntry, limits: SnapshotLimits) -> Manifest:
    if entry.size > limits.manifest_bytes_max:
        raise InvalidImportError(entry.name, f"{entry.size} bytes; at most {limits.manifest_bytes_max} are read")
    _, folder, file = entry.name.split("/")
    manifest = parse_manifest(entry.name, entry.read(entry.size))
    if not folder == file == str(manifest.slot):
        raise InvalidImportError(entry.name, f"holds the manifest of slot {manifest.slot}")
    return manifest


def _check_manifest(manifest: Manifest, name: SnapshotName | None, bank_hash: bytes | None) -> None:
    """The bank hash covers the lattice, and the name and the caller agree with both."""
    if bank_hash is not None and manifest.hash != bank_hash:
        raise SnapshotMismatchError(manifest.entry_name, bank_hash, manifest.hash)
    computed = manifest.bank_hash()
    if computed is not None and computed != manifest.hash:
        raise SnapshotMismatchError(manifest.entry_name, manifest.hash, computed)
    if name is None:
        return
    if name.slot != manifest.slot:
        raise InvalidImportError(str(name), f"holds slot {manifest.slot}")
    claimed = manifest.accounts_hash if manifest.lattice is None else lattice.checksum(manifest.lattice)
    if name.hash != claimed:
        raise SnapshotMismatchError(manifest.entry_name, name.hash, claimed)


def _read_file(entry: ArchiveEntry, files: dict[int, StoredFile], records: ExternalSorter) -> None:
    """Put one account file's records into the sorter; a file that the manifest does not name does not count."""
    slot, _, file_id = entry.name.removeprefix("accounts/").partition(".")
    stored = files.get(int(slot))
    if stored is None or stored.id != int(file_id):
        return
    del files[stored.slot]
    for offset, account in read_accounts(entry, stored.size):
        record = StoredRecord(account.address, stored.slot, offset, account.rent_epoch, account.leaf(), account.padding)
        records.add(*record.encode())


def _element(address: bytes, leaf: bytes) -> bytes:
    _SCHEME.check_leaf(address, leaf)
    return _SCHEME.leaf(address, leaf, 0)
