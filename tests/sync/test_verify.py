"""A whole checkpoint judged: every damage to every file is found and named, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from proofs import UnknownSchemeError
from sync.checkpoint_store import CheckpointStore
from sync.chunk import decode_code_chunk, encode_run_part
from sync.chunk_name import CODE_CHUNK
from sync.errors import CheckpointCorruptError, CheckpointNotFoundError
from sync.limits import Limits
from sync.manifest import RANGE, CodeEntry, Cut, Manifest
from sync.root import Root
from sync.verify import verify_checkpoint
from tests.faults import cut, flip_bit
from tests.sync.states import checkpoint
from tests.sync.test_checkpoint import Recorder

ACTIONS: dict[str, Callable[[Path], object]] = {
    "flip first": lambda path: flip_bit(path, 0),
    "flip middle": lambda path: flip_bit(path, path.stat().st_size // 2),
    "flip last": lambda path: flip_bit(path, -1),
    "truncate": lambda path: cut(path, path.stat().st_size - 1),
    "empty": lambda path: cut(path, 0),
    "append": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "delete": Path.unlink,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[CheckpointStore, bytes]:
    store, info = checkpoint("ethereum", tmp_path_factory.mktemp("store"), Cut(RANGE, 500))
    return store, info.digest


def test_a_whole_checkpoint_has_no_violation(whole: tuple[CheckpointStore, bytes]) -> None:
    store, digest = whole
    monitor = Recorder()
    assert list(verify_checkpoint(store, digest, monitor=monitor)) == []
    assert monitor.done == {"verify": len(list((store.staging.parent / "chunks").iterdir()))}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS.keys())
def test_any_damage_to_any_file_is_found(
    whole: tuple[CheckpointStore, bytes], action: Callable[[Path], object]
) -> None:
    """Fails when a file is not read to its end, or a damaged chunk stops the verdict on the others."""
    store, digest = whole
    folder = store.staging.parent
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock"):
        saved = path.read_bytes()
        action(path)
        fresh = CheckpointStore.folder(folder)
        try:
            violations = list(verify_checkpoint(fresh, digest))
        except (CheckpointCorruptError, CheckpointNotFoundError):
            assert path.parent.name == "manifests"
        else:
            found = {violation.where for violation in violations}
            if path.parent.name == "chunks":
                assert found == {f"chunk {path.name}"}
            else:
                expected_whole = not path.exists() or path.stat().st_size > len(saved)
                assert found == (set() if expected_whole else {"spine"}), "a checkpoint without spine is whole"
        finally:
            path.write_bytes(saved)
    assert list(verify_checkpoint(store, digest)) == []


def forge(store: CheckpointStore, manifest: Manifest) -> bytes:
    """Write a manifest that is well formed and not true."""
    path = store.manifest_path(store.digests()[0])
    assert path is not None
    (path.parent / manifest.digest.hex()).write_bytes(manifest.encoded)
    return manifest.digest


def test_code_that_is_missing_unnamed_or_repeated_is_found(tmp_path: Path) -> None:
    store, info = checkpoint("ethereum", tmp_path, Cut(RANGE, 500, 90_000))
    manifest = store.manifest(info.digest)
    (code,) = manifest.code_chunks
    without = Manifest(manifest.root, manifest.cut, manifest.leaf_chunks)
    missing = list(verify_checkpoint(store, forge(store, without)))
    assert {violation.where for violation in missing} == {"code"}
    assert len(missing) == code.blob_count
    store_a, info_a = checkpoint("ethereum", tmp_path / "a", Cut(RANGE, 500, 90_000))
    blobs = decode_code_chunk(store_a.chunk(code.digest), code, limits=Limits())
    again = blobs[1:].encode()
    repeated = CodeEntry(blobs.keys[1], len(blobs) - 1, len(again), sha256(again).digest())
    (tmp_path / "a" / "chunks" / repeated.digest.hex()).write_bytes(encode_run_part(CODE_CHUNK, again))
    twice = Manifest(manifest.root, manifest.cut, manifest.leaf_chunks, (code, repeated))
    assert [violation.where for violation in verify_checkpoint(store_a, forge(store_a, twice))] == [
        f"chunk {repeated.digest.hex()}"
    ]
    assert info_a.digest == info.digest
    store_b, info_b = checkpoint("ethereum", tmp_path / "b", Cut(RANGE, 500, 1000))
    parts = store_b.manifest(info_b.digest)
    fewer = Manifest(parts.root, parts.cut, parts.leaf_chunks, parts.code_chunks[1:])
    assert len(list(verify_checkpoint(store_b, forge(store_b, fewer)))) == parts.code_chunks[0].blob_count


@pytest.mark.parametrize("name", ["flip middle", "delete"])
def test_damaged_code_is_named_and_nothing_is_said_of_what_is_missing(tmp_path: Path, name: str) -> None:
    store, info = checkpoint("ethereum", tmp_path, Cut(RANGE, 500, 1000))
    entry = store.manifest(info.digest).code_chunks[0]
    path = store.chunk_path(entry.digest)
    assert path is not None
    ACTIONS[name](path)
    assert [violation.where for violation in verify_checkpoint(store, info.digest)] == [f"chunk {entry.digest.hex()}"]


def test_a_manifest_of_another_root_convicts_every_chunk(tmp_path: Path) -> None:
    store, info = checkpoint("mkvs", tmp_path, Cut(RANGE, 500))
    manifest = store.manifest(info.digest)
    lie = Manifest(Root("mkvs", "", b"", 1, b"\1" * 32), manifest.cut, manifest.leaf_chunks)
    assert len(list(verify_checkpoint(store, forge(store, lie)))) == len(manifest.leaf_chunks)
    unknown = Manifest(Root("patricia", "", b"", 1, b"\1" * 32), manifest.cut, manifest.leaf_chunks)
    with pytest.raises(UnknownSchemeError):
        list(verify_checkpoint(store, forge(store, unknown)))
