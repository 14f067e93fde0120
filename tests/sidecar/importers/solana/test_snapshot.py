"""Real archives, full and incremental, and hostile ones made here: what is imported and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import base58
import pytest
import zstandard

from proofs import RootMismatchError, get_scheme, lattice, leaf_items, state_root
from proofs.schemes.solana import AccountLeaf
from sidecar.errors import InvalidImportError
from sidecar.importers.external_sort import ExternalSorter
from sidecar.importers.solana import snapshot as reader
from sidecar.importers.solana.archive import SnapshotLimits
from sidecar.importers.solana.damage import find_damage
from sidecar.importers.solana.snapshot import Base, Snapshot, read_snapshot
from sidecar.importers.solana.snapshot_name import parse_name

FULL = "snapshot-1-5pgMpQj4MZYWauD1VnoNfmGAdUQCe6VVCSCQMNbDoxf7.tar.zst"
INCREMENTAL = "incremental-snapshot-1-4-43FT6mnmRW9XbxpCzqH3ogYexHXboG7d8vmf3gBLvLrR.tar.zst"
FIXTURE = "test-snapshot-v4.2.0-beta.1"
SCHEME = get_scheme("solana-lattice")

Entry = tuple[tarfile.TarInfo, bytes]


@pytest.fixture
def solana(data: Path) -> Path:
    return data / "solana"


@pytest.fixture
def sorter(tmp_path: Path) -> Iterable[ExternalSorter]:
    with ExternalSorter(tmp_path) as records:
        yield records


@pytest.fixture(autouse=True)
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not named fast is not waited for: `test_damage` looks after the search."""
    monkeypatch.setattr(reader, "find_damage", partial(find_damage, work_bytes_max=2**24))


def read(archive: bytes, records: ExternalSorter, name: str | None = None, **options: Any) -> Snapshot:
    return read_snapshot(io.BytesIO(archive), parse_name(name) if name else None, records, **options)


def entries_of(archive: bytes) -> list[Entry]:
    unpacked = zstandard.ZstdDecompressor().decompressobj().decompress(archive)
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as tar:
        found = [(member, tar.extractfile(member)) for member in tar]
        return [(member, file.read() if file else b"") for member, file in found]


def archive_of(entries: Iterable[Entry]) -> bytes:
    raw = b""
    for member, body in entries:
        raw += member.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % 512)
    return zstandard.compress(raw + bytes(1024))


def entry(name: str, body: bytes = b"", kind: bytes = tarfile.REGTYPE) -> Entry:
    member = tarfile.TarInfo(name)
    member.size, member.type = len(body), kind
    return member, body


def edit(archive: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The archive with one file's bytes changed."""
    edited = []
    for member, body in entries_of(archive):
        if member.name == name:
            body = change(body)
            member.size = len(body)
        edited.append((member, body))
    return archive_of(edited)


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda body: body[:at] + bytes((body[at] ^ 1,)) + body[at + 1 :]


def test_a_full_snapshot(solana: Path, sorter: ExternalSorter) -> None:
    snapshot = read((solana / FULL).read_bytes(), sorter, FULL)
    leaves = list(snapshot.leaves())
    assert len(leaves) == 21
    assert state_root(SCHEME, leaf_items(leaves)) == snapshot.root
    assert sum(AccountLeaf.decode(leaf).lamports for _, leaf in leaves) == snapshot.manifest.capitalization


def test_an_incremental_snapshot_is_a_write_log(solana: Path, sorter: ExternalSorter, tmp_path: Path) -> None:
    full = read((solana / FULL).read_bytes(), sorter, FULL)
    state = dict(full.leaves())
    base = base_of(full, state)
    with ExternalSorter(tmp_path) as records:
        write_log = read((solana / INCREMENTAL).read_bytes(), records, INCREMENTAL).write_log(base)
    assert (write_log.height, write_log.parent_root, len(write_log.writes)) == (4, full.root, 6)
    for address, leaf in write_log.writes:
        assert leaf is not None
        state[address] = leaf
    assert state_root(SCHEME, leaf_items(sorted(state.items()))) == write_log.root


def base_of(full: Snapshot, state: dict[bytes, bytes]) -> Base:
    assert full.manifest.lattice is not None
    return Base(full.manifest.slot, full.manifest.lattice, full.manifest.capitalization, state.get)


@pytest.mark.parametrize("wrong", ["slot", "lattice", "account", "capitalization"])
def test_an_incremental_snapshot_on_another_base(solana: Path, tmp_path: Path, wrong: str) -> None:
    with ExternalSorter(tmp_path) as records, ExternalSorter(tmp_path) as more:
        full = read((solana / FULL).read_bytes(), records, FULL)
        state = dict(full.leaves())
        base = base_of(full, state)
        incremental = read((solana / INCREMENTAL).read_bytes(), more, INCREMENTAL)
        clock = base58.b58decode("SysvarC1ock11111111111111111111111111111111")
        if wrong == "slot":
            base = replace(base, slot=4)
        elif wrong == "lattice":
            base = replace(base, lattice=lattice.add(base.lattice, lattice.element(b"more")))
        elif wrong == "account":
            state[clock] = state[clock][:8] + b"\0" + state[clock][9:]
        else:
            base = replace(base, capitalization=base.capitalization + 1)
        with pytest.raises((InvalidImportError, RootMismatchError)):
            incremental.write_log(base)


def test_the_fixture_with_its_superseded_account(solana: Path, sorter: ExternalSorter) -> None:
    expected = json.loads(gzip.decompress((solana / f"{FIXTURE}.json.gz").read_bytes()))
    snapshot = read((solana / f"{FIXTURE}.tar.zst").read_bytes(), sorter)
    fields = expected["bank_fields"]
    for name in ("slot", "block_height", "parent_slot", "signature_count", "transaction_count", "capitalization"):
        assert getattr(snapshot.manifest, name) == fields[name]
    assert base58.b58encode(snapshot.manifest.hash).decode() == fields["hash"]
    assert base58.b58encode(snapshot.manifest.parent_hash).decode() == fields["parent_hash"]
    leaves = dict(snapshot.leaves())
    live = [expected["accounts"]["entries"][index] for index in expected["accounts"]["live_indices"]]
    assert leaves.keys() == {base58.b58decode(one["pubkey"]) for one in live}
    for one in live:
        account = AccountLeaf.decode(leaves[base58.b58decode(one["pubkey"])])
        assert (account.lamports, account.executable, len(account.data)) == (
            one["lamports"],
            one["executable"],
            one["data_len"],
        )


def test_a_tiny_memory_gives_the_same_leaves(solana: Path, tmp_path: Path) -> None:
    archive = (solana / FULL).read_bytes()
    with ExternalSorter(tmp_path) as wide, ExternalSorter(tmp_path, memory_bytes_max=1) as narrow:
        assert list(read(archive, wide).leaves()) == list(read(archive, narrow).leaves())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at", [48, 96, 136, 17_000], ids=["lamports", "executable", "data", "deep-data"])
def test_a_flipped_byte_of_an_account_is_noticed(solana: Path, sorter: ExternalSorter, at: int) -> None:
    damaged = edit((solana / FULL).read_bytes(), "accounts/0.1", flip(at))
    with pytest.raises((InvalidImportError, RootMismatchError)):
        list(read(damaged, sorter, FULL).leaves())


def test_the_rent_epoch_takes_no_part(solana: Path, sorter: ExternalSorter) -> None:
    changed = edit((solana / FULL).read_bytes(), "accounts/0.1", flip(56))
    assert len(list(read(changed, sorter, FULL).leaves())) == 21


@pytest.mark.parametrize("step", range(0, 3194, 61))
def test_a_flipped_byte_of_the_manifest_never_passes_unseen(solana: Path, sorter: ExternalSorter, step: int) -> None:
    """Either it is refused, or nothing that counts has changed: leaves, root, slot and hash are the same."""
    honest = read((solana / FULL).read_bytes(), sorter, FULL)
    try:
        other = read(edit((solana / FULL).read_bytes(), "snapshots/1/1", flip(step)), sorter, FULL)
        list(other.leaves())
    except (InvalidImportError, RootMismatchError):
        return
    same = ("slot", "hash", "parent_hash", "signature_count", "capitalization", "lattice", "last_blockhash", "files")
    assert all(getattr(other.manifest, name) == getattr(honest.manifest, name) for name in same)


def test_a_bank_hash_from_outside_must_agree(solana: Path, sorter: ExternalSorter) -> None:
    archive = (solana / FULL).read_bytes()
    honest = read(archive, sorter).manifest.hash
    assert read(archive, sorter, bank_hash=honest).manifest.hash == honest
    with pytest.raises(RootMismatchError):
        read(archive, sorter, bank_hash=bytes(32))


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(entry("../accounts/0.1"), id="parent-folder"),
        pytest.param(entry("/accounts/0.1"), id="absolute"),
        pytest.param(entry("accounts/0.1/../../x"), id="inner-parent"),
        pytest.param(entry("accounts/0.x"), id="not-digits"),
        pytest.param(entry("accounts/0.1\n"), id="newline"),
        pytest.param(entry("accounts/9.9", kind=tarfile.SYMTYPE), id="symlink"),
        pytest.param(entry("accounts/9.9", kind=tarfile.LNKTYPE), id="hard-link"),
        pytest.param(entry("accounts/9.9", kind=tarfile.CHRTYPE), id="device"),
        pytest.param(entry("accounts/9.9", kind=tarfile.GNUTYPE_LONGNAME), id="long-name"),
        pytest.param(entry("accounts/9.9", kind=tarfile.XHDTYPE), id="extended-header"),
        pytest.param(entry("accounts/0.1"), id="twice"),
        pytest.param(entry("snapshots/2/2"), id="second-manifest"),
        pytest.param(entry("etc"), id="unknown"),
    ],
)
def test_an_entry_that_no_snapshot_holds(solana: Path, sorter: ExternalSorter, bad: Entry) -> None:
    with pytest.raises(InvalidImportError):
        read(archive_of([*entries_of((solana / FULL).read_bytes()), bad]), sorter)


@pytest.mark.parametrize(
    "limits",
    [
        SnapshotLimits(unpacked_bytes_max=100_000),
        SnapshotLimits(entry_count_max=3),
        SnapshotLimits(manifest_bytes_max=1000),
    ],
    ids=["bytes", "entries", "manifest"],
)
def test_limits_hold(solana: Path, sorter: ExternalSorter, limits: SnapshotLimits) -> None:
    with pytest.raises(InvalidImportError):
        read((solana / FULL).read_bytes(), sorter, limits=limits)


def test_a_bomb_stops_at_the_limit(sorter: ExternalSorter) -> None:
    bomb = archive_of([entry("accounts/0.0", bytes(64 << 20))])
    assert len(bomb) < 100_000
    with pytest.raises(InvalidImportError):
        read(bomb, sorter, limits=SnapshotLimits(unpacked_bytes_max=1 << 20))


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_off_archive(solana: Path, sorter: ExternalSorter, left: float) -> None:
    archive = (solana / FULL).read_bytes()
    with pytest.raises(InvalidImportError):
        read(archive[: int(len(archive) * left)], sorter)


def test_the_checksum_at_the_end_of_the_stream_counts(solana: Path, sorter: ExternalSorter) -> None:
    """Fails if reading stops at the end mark: then the frame's checksum behind it is never compared."""
    archive = (solana / f"{FIXTURE}.tar.zst").read_bytes()
    assert zstandard.get_frame_parameters(archive).has_checksum
    with pytest.raises(InvalidImportError) as caught:
        read(flip(len(archive) - 1)(archive), sorter)
    assert "checksum" in caught.value.reason


@pytest.mark.parametrize("behind", [bytes(512) + b"\1", b"\1", bytes(3 << 20) + b"\1"])
def test_an_archive_goes_on_with_padding_only(solana: Path, sorter: ExternalSorter, behind: bytes) -> None:
    raw = zstandard.ZstdDecompressor().decompressobj().decompress((solana / FULL).read_bytes())
    read(zstandard.compress(raw + bytes(len(behind))), sorter)
    with pytest.raises(InvalidImportError) as caught:
        read(zstandard.compress(raw + behind), sorter)
    assert caught.value.where.startswith("archive at byte ")


def test_padding_without_end_stops_at_the_limit(solana: Path, sorter: ExternalSorter) -> None:
    raw = zstandard.ZstdDecompressor().decompressobj().decompress((solana / FULL).read_bytes())
    with pytest.raises(InvalidImportError):
        read(zstandard.compress(raw + bytes(8 << 20)), sorter, limits=SnapshotLimits(unpacked_bytes_max=len(raw) + 512))


def test_a_missing_or_short_account_file(solana: Path, sorter: ExternalSorter) -> None:
    archive = (solana / FULL).read_bytes()
    with pytest.raises(InvalidImportError):
        read(archive_of([one for one in entries_of(archive) if one[0].name != "accounts/0.1"]), sorter)
    with pytest.raises(InvalidImportError):
        read(edit(archive, "accounts/0.1", lambda body: body[:-8]), sorter)
    with pytest.raises(InvalidImportError):
        read(edit(archive, "accounts/1.0", flip(8 + 3)), sorter)


def test_bytes_behind_the_counted_ones_are_ignored(solana: Path, sorter: ExternalSorter) -> None:
    longer = edit((solana / FULL).read_bytes(), "accounts/0.1", lambda body: body + b"garbage" * 99)
    assert len(list(read(longer, sorter, FULL).leaves())) == 21


def test_accounts_before_the_manifest(solana: Path, sorter: ExternalSorter) -> None:
    with pytest.raises(InvalidImportError):
        read(archive_of(reversed(entries_of((solana / FULL).read_bytes()))), sorter)


def test_an_unknown_version(solana: Path, sorter: ExternalSorter) -> None:
    with pytest.raises(InvalidImportError):
        read(edit((solana / FULL).read_bytes(), "version", lambda body: b"9.9.9"), sorter)


@pytest.mark.parametrize(
    "name", ["x.tar.zst", FULL.replace("tar.zst", "tar.lz4"), FULL.replace("5pgMp", ""), "../" + FULL, FULL + "\n"]
)
def test_a_name_that_no_validator_gives(name: str) -> None:
    with pytest.raises(InvalidImportError):
        parse_name(name)


def test_a_name_survives() -> None:
    assert str(parse_name(FULL)) == FULL
    assert str(parse_name(INCREMENTAL)) == INCREMENTAL
    assert parse_name(INCREMENTAL).base_slot == 1


def test_the_name_of_another_archive(solana: Path, sorter: ExternalSorter) -> None:
    for other in (INCREMENTAL, FULL.replace("-1-", "-2-"), FULL.replace("Doxf7", "Doxf8")):
        with pytest.raises((InvalidImportError, RootMismatchError)):
            read((solana / FULL).read_bytes(), sorter, other)
