"""Flipped bytes of whole real archives: each leaves what was imported as it is, or is named where it lies."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import base58
import pytest
import zstandard

from proofs import lattice
from proofs.schemes.solana import AccountLeaf
from sidecar.errors import DamagedSnapshotError, InvalidImportError, SnapshotMismatchError
from sidecar.importers.external_sort import ExternalSorter
from sidecar.importers.solana import snapshot as reader
from sidecar.importers.solana.accounts_hash import account_hash
from sidecar.importers.solana.damage import Damage, Difference, find_damage
from sidecar.importers.solana.manifest import Manifest, parse_manifest
from sidecar.importers.solana.snapshot import Base, read_snapshot
from sidecar.importers.solana.snapshot_name import parse_name
from sidecar.importers.solana.stored_record import StoredRecord

FULL = "snapshot-1-5pgMpQj4MZYWauD1VnoNfmGAdUQCe6VVCSCQMNbDoxf7.tar.zst"
INCREMENTAL = "incremental-snapshot-1-4-43FT6mnmRW9XbxpCzqH3ogYexHXboG7d8vmf3gBLvLrR.tar.zst"
FIXTURE = "test-snapshot-v4.2.0-beta.1.tar.zst"
ARCHIVES = (FULL, INCREMENTAL, FIXTURE)
LARGE = 1000
"""Bytes of data from which on the short searches of the fast tests give up."""

# Field -> (begin, end) in a record, by the layout that agave documents.
FIELDS = {
    "write version": (0, 8),
    "data size": (8, 16),
    "address": (16, 48),
    "lamports": (48, 56),
    "rent epoch": (56, 64),
    "owner": (64, 96),
    "executable": (96, 97),
    "pad": (97, 104),
    "own hash": (104, 136),
}
COMMITTED = {"address", "lamports", "owner", "executable", "data"}


@dataclass(frozen=True)
class Place:
    """One byte of the unpacked archive that lies in a record."""

    at: int
    file: str
    offset: int
    record: int
    field: str
    data_size: int
    address: bytes


@dataclass(frozen=True)
class Result:
    manifest: tuple[object, ...]
    leaves: tuple[tuple[bytes, bytes | None], ...]


class Archive:
    """A real archive, unpacked; `flipped` reads it again with one byte changed."""

    def __init__(self, solana: Path, name: str, scratch: Path) -> None:
        self.name = name
        self.scratch = scratch
        self.stored = (solana / name).read_bytes()
        self.raw = zstandard.ZstdDecompressor().decompressobj().decompress(self.stored)
        self.base = self._base(solana) if name == INCREMENTAL else None
        self.honest = self.read(self.raw)

    def _base(self, solana: Path) -> Base:
        with ExternalSorter(self.scratch) as records, (solana / FULL).open("rb") as file:
            full = read_snapshot(file, parse_name(FULL), records)
            state = dict(full.leaves())
        assert full.manifest.lattice is not None
        return Base(full.manifest.slot, full.manifest.lattice, full.manifest.capitalization, state.get)

    def read(self, raw: bytes) -> Result:
        return self.read_stored(zstandard.compress(raw, 1))

    def read_stored(self, stored: bytes) -> Result:
        name = None if self.name == FIXTURE else parse_name(self.name)
        with ExternalSorter(self.scratch) as records:
            found = read_snapshot(io.BytesIO(stored), name, records)
            leaves = tuple(found.leaves() if self.base is None else found.write_log(self.base).writes)
        manifest = found.manifest
        return Result((manifest.slot, manifest.hash, manifest.parent_hash, manifest.capitalization, found.root), leaves)

    def flipped(self, at: int, bits: int) -> Result:
        return self.read(self.raw[:at] + bytes((self.raw[at] ^ bits,)) + self.raw[at + 1 :])

    def places(self) -> Iterator[Place]:
        """Every byte of every record, as the manifest counts them."""
        with tarfile.open(fileobj=io.BytesIO(self.raw)) as tar:
            members = [member for member in tar if member.isfile()]
        manifest = self.manifest(members)
        for member in members:
            size = next((stored.size for stored in manifest.files if stored.name == member.name), 0)
            yield from self._records(member.name, member.offset_data, size)

    def manifest(self, members: list[tarfile.TarInfo]) -> Manifest:
        one = next(member for member in members if member.name.count("/") == 2)
        return parse_manifest(one.name, self.raw[one.offset_data : one.offset_data + one.size])

    def _records(self, file: str, start: int, size: int) -> Iterator[Place]:
        offset = 0
        while offset < size:
            data_size, address = struct.unpack_from("<Q32s", self.raw, start + offset + 8)
            end = offset + 136 + data_size
            end = min(end + -end % 8, size)
            spans = FIELDS | {"data": (136, 136 + data_size), "padding": (136 + data_size, end - offset)}
            for field, (first, last) in spans.items():
                for place in range(offset + first, offset + last):
                    yield Place(start + place, file, place, offset, field, data_size, address)
            offset = end


@pytest.fixture(scope="module", params=ARCHIVES, ids=["full", "incremental", "superseded"])
def archive(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(data / "solana", request.param, tmp_path_factory.mktemp("sorter"))


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "find_damage", partial(find_damage, work_bytes_max=2**29))


Outcome = Result | InvalidImportError | SnapshotMismatchError


def outcome(archive: Archive, at: int, bits: int) -> Outcome:
    return attempt(partial(archive.flipped, at, bits))


def attempt(read: Callable[[], Result]) -> Outcome:
    try:
        return read()
    except (InvalidImportError, SnapshotMismatchError) as error:
        return error


def check(archive: Archive, place: Place, bits: int, *, exact: bool) -> None:
    """Same result, or an error that names the byte, or at least (not `exact`) no other byte."""
    result = outcome(archive, place.at, bits)
    if isinstance(result, Result):
        assert result == archive.honest
        assert place.field not in COMMITTED or is_superseded(archive, place)
    elif isinstance(result, DamagedSnapshotError):
        assert place.field in COMMITTED | {"data size"}
        honest = archive.raw[place.at]
        assert (result.file, result.offset) == (place.file, place.offset)
        assert (result.found, result.repaired) == (honest ^ bits, honest)
        assert result.address == base58.b58encode(place.address).decode()
        assert f"{place.file} at byte {place.offset}" in str(result)
    elif isinstance(result, InvalidImportError):
        assert result.where.startswith(place.file)
        assert place.field == "data size" or result.where == f"{place.file} at byte {place.record}"
    else:
        assert result.where == "accounts"
        assert not exact
        assert place.field in COMMITTED | {"data size"}


def is_superseded(archive: Archive, place: Place) -> bool:
    return archive.name == FIXTURE and place.file == "accounts/98.1" and place.field != "address"


@pytest.mark.usefixtures("short_search")
def test_every_nth_byte_of_the_records(archive: Archive) -> None:
    small = [place for place in archive.places() if place.field != "data" or place.data_size < LARGE]
    for index, place in enumerate(small[::41]):
        exact = place.data_size < LARGE and place.field != "data size"
        if exact or place.field not in COMMITTED:
            check(archive, place, 1 << index % 8, exact=exact)


@pytest.mark.usefixtures("short_search")
def test_large_data_is_named_or_given_up_but_never_another_byte(archive: Archive) -> None:
    large = [place for place in archive.places() if place.field == "data" and place.data_size >= LARGE]
    for place in large[:: len(large) // 3]:
        check(archive, place, 1, exact=False)


def test_every_nth_byte_beside_the_records(archive: Archive) -> None:
    in_records = {place.at for place in archive.places()}
    outside = [at for at in range(len(archive.raw)) if at not in in_records]
    for index, at in enumerate(outside[::31]):
        check_beside(archive, at, 1 << index % 8)


def check_beside(archive: Archive, at: int, bits: int) -> None:
    result = outcome(archive, at, bits)
    if isinstance(result, Result):
        assert result == archive.honest
    else:
        assert result.where
        assert not isinstance(result, DamagedSnapshotError)


def test_every_nth_byte_of_the_compressed_stream(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if a stream that decompresses to something else passes for the honest one, or is refused without place."""
    monkeypatch.setattr(reader, "find_damage", partial(find_damage, work_bytes_max=0))
    for index, at in enumerate(range(0, len(archive.stored), 7)):
        flipped = archive.stored[:at] + bytes((archive.stored[at] ^ 1 << index % 8,)) + archive.stored[at + 1 :]
        result = attempt(partial(archive.read_stored, flipped))
        assert result == archive.honest if isinstance(result, Result) else result.where


@pytest.mark.slow
def test_every_few_bytes_of_the_records(archive: Archive) -> None:
    """All fields of all accounts to the byte; data as far as the search goes."""
    small = [place for place in archive.places() if place.field != "data" or place.data_size < LARGE]
    for index, place in enumerate(small[::13]):
        check(archive, place, 1 << index % 8, exact=place.field != "data size")
    large = [place for place in archive.places() if place.field == "data" and place.data_size >= LARGE]
    for place in large[:: len(large) // 8]:
        check(archive, place, 4, exact=place.data_size < 32_768)


@pytest.mark.slow
def test_every_other_byte_beside_the_records(archive: Archive) -> None:
    in_records = {place.at for place in archive.places()}
    for at in range(0, len(archive.raw), 2):
        if at not in in_records:
            check_beside(archive, at, 1 << at // 2 % 8)


@pytest.mark.usefixtures("short_search")
@pytest.mark.parametrize("bits", [0x81, 0xFF])
def test_more_than_one_bit_of_a_byte(archive: Archive, bits: int) -> None:
    for field in ("address", "lamports", "owner", "data"):
        place = next(place for place in archive.places() if place.field == field and 0 < place.data_size < LARGE)
        check(archive, place, bits, exact=True)


@pytest.mark.usefixtures("short_search")
def test_two_damaged_bytes_are_refused_and_none_is_named(data: Path, tmp_path: Path) -> None:
    archive = Archive(data / "solana", FULL, tmp_path)
    first, second = [place for place in archive.places() if place.field == "owner"][:2]
    raw = bytearray(archive.raw)
    raw[first.at] ^= 1
    raw[second.at] ^= 1
    with pytest.raises(SnapshotMismatchError) as caught:
        archive.read(bytes(raw))
    assert caught.value.where == "accounts"
    assert type(caught.value) is SnapshotMismatchError


@pytest.mark.usefixtures("short_search")
def test_the_own_hash_of_an_older_record_names_it_at_once(data: Path, tmp_path: Path) -> None:
    """Written by releases before Agave 3; here into the first record of a real file."""
    archive = Archive(data / "solana", FULL, tmp_path)
    places = [place for place in archive.places() if place.file == "accounts/0.1" and place.record == 152]
    start = next(place.at for place in places if place.field == "write version")
    size, address, lamports, epoch, owner, executable = struct.unpack_from("<Q32sQQ32sB", archive.raw, start + 8)
    leaf = AccountLeaf(lamports, owner, bool(executable), archive.raw[start + 136 : start + 136 + size]).encode()
    raw = bytearray(archive.raw)
    raw[start + 104 : start + 136] = account_hash(address, epoch, leaf)
    assert archive.read(bytes(raw)) == archive.honest
    for field in ("address", "lamports", "rent epoch", "owner", "own hash", "data"):
        damaged = bytearray(raw)
        damaged[next(place.at for place in places if place.field == field)] ^= 4
        with pytest.raises(InvalidImportError) as caught:
            archive.read(bytes(damaged))
        assert caught.value.where == "accounts/0.1 at byte 152"


OWNER = bytes(31) + b"\x01"


def record(address: bytes, slot: int, lamports: int, data: bytes = b"") -> StoredRecord:
    leaf = AccountLeaf(lamports, OWNER, False, data).encode() if lamports else None
    return StoredRecord(address, slot, 8 * lamports, 0, leaf, b"")


def element(one: StoredRecord) -> bytes:
    return lattice.IDENTITY if one.leaf is None else lattice.element(one.leaf + one.address)


def search(
    found: list[StoredRecord],
    live: list[StoredRecord],
    honest: list[StoredRecord],
    before: Callable[[bytes], bytes | None] = lambda _: None,
    **options: int,
) -> Damage | None:
    """Search `found`, whose winners are `live`, for what makes it `honest`."""
    missing = lattice.subtract(lattice.total(map(element, honest)), lattice.total(map(element, live)))
    lamports = sum(int.from_bytes((one.leaf or b"")[:8], "little") for one in honest)
    lamports -= sum(int.from_bytes((one.leaf or b"")[:8], "little") for one in live)
    return find_damage(
        sorted(found, key=lambda one: (one.address, one.place)), Difference(missing, lamports, before), **options
    )


A, B = b"A" * 32, b"B" * 32


def test_a_record_too_many() -> None:
    rest = record(A, 1, 5)
    extra = record(B, 1, 9)
    assert search([rest, extra], [rest, extra], [rest]) == Damage(1, 72, B)
    newer = record(A, 2, 7, b"other")
    assert search([rest, newer], [newer], [rest]) == Damage(2, 56, A)
    closing = record(A, 2, 0)
    assert search([rest, closing], [], [rest]) == Damage(2, 0, A)


def test_an_address_that_moved_behind_another_record() -> None:
    """A stale record stands beside what hid it, or what hid it beside the stale one."""
    near = b"A" * 31 + b"C"
    old = record(A, 1, 5)
    stale, newer = record(near, 1, 5), record(A, 2, 6)
    assert search([stale, newer], [stale, newer], [newer]) == Damage(1, 40 + 16 + 31, A, ord("C"), ord("A"))
    stray = record(near, 2, 6)
    assert search([old, stray], [old, stray], [record(A, 2, 6)]) == Damage(2, 48 + 16 + 31, A, ord("C"), ord("A"))


def test_beside_a_closed_account_two_addresses_may_be_wrong() -> None:
    """Whether the closing record is A's, or the stale one the neighbour's: the sum is the same."""
    old, other, closing = record(A, 1, 5), record(B, 1, 9), record(b"A" * 31 + b"C", 2, 0)
    assert search([old, other, closing], [old, other], [other]) == Damage(1, 40, A)


def test_an_address_that_hides_the_base() -> None:
    """Incremental: what was to replace or close an account of the base stands beside it."""
    near = b"A" * 31 + b"C"
    base = record(A, 1, 5)
    before = {A: base.leaf}.get
    stray = record(near, 2, 6)
    assert search([stray], [base, stray], [record(A, 2, 6)], before) == Damage(2, 48 + 47, A, ord("C"), ord("A"))
    closing = record(near, 2, 0)
    assert search([closing], [base], [], before) == Damage(2, 47, A, ord("C"), ord("A"))


def test_lamports_that_came_or_went() -> None:
    full = record(A, 1, 5)
    emptied = StoredRecord(A, 1, 40, 0, AccountLeaf(256, bytes(32), False, b"").encode(), b"")
    none = StoredRecord(A, 1, 40, 0, None, b"")
    assert search([emptied], [emptied], []) == Damage(1, 40 + 49, A, 1, 0)
    assert search([none], [], [emptied]) == Damage(1, 40 + 49, A, 0, 1)
    assert search([full], [full], [record(A, 1, 261)]) == Damage(1, 40 + 49, A, 0, 1)


@pytest.mark.parametrize(("size", "repaired"), [(13, 14), (13, 9), (8, 1), (7, 8), (1, 0)])
def test_a_size_that_moves_no_other_record(size: int, repaired: int) -> None:
    data = bytes(range(100, 116))
    found = StoredRecord(A, 1, 0, 0, AccountLeaf(5, OWNER, False, data[:size]).encode(), data[size : size + -size % 8])
    honest = StoredRecord(A, 1, 0, 0, AccountLeaf(5, OWNER, False, data[:repaired]).encode(), b"")
    expected = None if repaired == 0 else Damage(1, 8, A, size, repaired)
    assert search([found], [found], [honest], work_bytes_max=2**20) == expected


def test_no_work_allowed_is_no_answer() -> None:
    found, honest = record(A, 1, 5, b"x"), record(A, 1, 5, b"y")
    assert search([found], [found], [honest]) == Damage(1, 40 + 136, A, ord("x"), ord("y"))
    assert search([found], [found], [honest], work_bytes_max=2000) is None
