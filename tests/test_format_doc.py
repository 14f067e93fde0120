"""docs/format.md and the code say the same: its tables are read here, and real bytes are taken apart by them alone."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import cbor2
import pytest

from flatdb import StoreLimits, WriteLog
from flatdb.errors import InvalidWriteLogError
from flatdb.writelog import decode_json, encode_cbor, encode_json
from proofs import NODE, VALUE, LeafRun, ProofNode
from sync import checkpoint_store
from sync.chunk import encode_proof_part, encode_run_part
from sync.chunk_name import CODE_CHUNK, LEAF_CHUNK, chunk_digest
from sync.compression import RAW, ZSTD
from sync.limits import Limits
from sync.manifest import CUTS, CodeEntry, Cut, LeafEntry, Manifest
from sync.root import Root
from sync.spine import PIECE_LEAVES, SpinePiece, decode_section
from tests.source import ROOT
from tests.sync.states import checkpoint

TEXT = (ROOT / "docs" / "format.md").read_text("utf-8")
Row = dict[str, str]


def section(heading: str) -> str:
    """The text under one heading."""
    _, _, rest = TEXT.partition(f"\n## {heading}\n")
    assert rest, f"no section {heading}"
    return rest.partition("\n## ")[0]


def tables(heading: str) -> list[list[Row]]:
    """All tables under one heading, in order."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", section(heading) + "\n", re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


class Field(NamedTuple):
    name: str
    data: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(self.data, "little")

    @property
    def column(self) -> list[int]:
        return [int.from_bytes(self.data[at : at + 4], "little") for at in range(0, len(self.data), 4)]


def take_apart(table: Sequence[Row], data: bytes) -> dict[str, Field]:
    """Read bytes by a table of offsets and sizes, and by nothing else; all of them must be accounted for."""
    found: dict[str, Field] = {}
    at = 0
    for row in table:
        if row["offset"]:
            assert int(row["offset"]) == at, f"{row['name']} is at {at}"
        size = _size(row["size"], found, len(data) - at)
        found[row["name"]] = Field(row["name"], data[at : at + size])
        at += size
    assert at == len(data)
    return found


def _size(text: str, found: Mapping[str, Field], rest: int) -> int:
    if text == "rest":
        return rest
    if text.isdigit():
        return int(text)
    factor, dot, name = text.partition("·")
    if dot:
        return int(factor) * found[name].number
    field = found[text]
    return sum(field.column) if text.endswith("sizes") else field.number


TYPES: dict[str, tuple[type, ...]] = {
    "uint": (int,),
    "int": (int,),
    "bytes": (bytes,),
    "text": (str,),
    "array": (list,),
    "bytes or null": (bytes, type(None)),
}


def named(table: Sequence[Row], values: Sequence[object]) -> dict[str, object]:
    """A CBOR array by a table of indexes and types."""
    assert [row["index"] for row in table] == [str(index) for index in range(len(values))]
    for row, value in zip(table, values, strict=True):
        assert isinstance(value, TYPES[row["type"]]), row["name"]
        if row["type"] == "uint":
            assert isinstance(value, int)
            assert value >= 0
    return {row["name"]: value for row, value in zip(table, values, strict=True)}


def names(table: Sequence[Row]) -> list[str]:
    return [row["name"].replace(" ", "_") for row in table]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """A real checkpoint with leaf chunks and code."""
    folder = tmp_path_factory.mktemp("store")
    made, info = checkpoint("ethereum", folder, Cut("subtree", 300))
    return folder, made.manifest(info.digest)


def test_leaf_run() -> None:
    (table,) = tables("Leaf run")
    run = LeafRun([b"", b"key", b"longer"], [b"value", b"", b"x"])
    parts = take_apart(table, run.encode())
    assert parts["count"].number == 3
    assert parts["key sizes"].column == [0, 3, 6]
    assert parts["value sizes"].column == [5, 0, 1]
    assert parts["keys"].data == b"keylonger"
    assert parts["values"].data == b"valuex"


def test_range_proof(store: tuple[Path, Manifest]) -> None:
    proof_table, node_table = tables("Range proof")
    folder, manifest = store
    entry = manifest.leaf_chunks[1]
    made = checkpoint_store.CheckpointStore.folder(folder)
    stored = take_apart(tables("Chunk")[1], made.chunk(entry.digest))
    assert stored["proof codec"].number == RAW
    proof = named(proof_table, cbor2.loads(stored["proof"].data))
    assert (proof["start"], proof["end"]) == (entry.start, manifest.end(1))
    assert names(node_table) == list(ProofNode._fields)
    sides = [proof["left"], proof["right"]]
    for side in sides:
        assert isinstance(side, list)
        for node in side:
            assert len(named(node_table, node)) == 3
    assert any(sides)


def test_chunk() -> None:
    name_table, stored_table = tables("Chunk")
    run, proof = b"run" * 50, b"proof" * 50
    digests = sha256(run).digest(), sha256(proof).digest()
    named_bytes = take_apart(name_table, b"\1" + bytes((LEAF_CHUNK,)) + digests[0] + digests[1])
    joined = b"".join(field.data for field in named_bytes.values())
    assert chunk_digest(LEAF_CHUNK, *digests) == sha256(joined).digest()
    code = b"".join(field.data for name, field in named_bytes.items() if name != "proof digest")
    assert chunk_digest(CODE_CHUNK, digests[0], None) == sha256(code.replace(b"\1\1", b"\1\2", 1)).digest()
    for level, codec in ((3, ZSTD), (0, RAW)):
        stored = encode_run_part(LEAF_CHUNK, run, level=level) + encode_proof_part(proof, level=level)
        parts = take_apart(stored_table, stored)
        assert (parts["format"].number, parts["kind"].number, parts["zero"].number) == (1, LEAF_CHUNK, 0)
        assert (parts["run codec"].number, parts["proof codec"].number) == (codec, codec)
    assert (parts["run"].data, parts["proof"].data) == (run, proof)
    assert take_apart(stored_table[:6], encode_run_part(CODE_CHUNK, run))["kind"].number == CODE_CHUNK
    for row in (name_table[1], stored_table[1]):
        assert row["meaning"] == f"{LEAF_CHUNK} leaves, {CODE_CHUNK} code"
    assert stored_table[2]["meaning"] == f"{RAW} raw, {ZSTD} zstd"


def test_manifest(store: tuple[Path, Manifest]) -> None:
    whole, root, cut, totals, leaf, code = tables("Manifest")
    _, manifest = store
    fields_read = named(whole, cbor2.loads(manifest.encoded))
    assert fields_read["format"] == 1
    assert Root(**_keywords(root, fields_read["root"])) == manifest.root  # type: ignore[arg-type]
    assert Cut(**_keywords(cut, fields_read["cut"])) == manifest.cut  # type: ignore[arg-type]
    for name, value in _keywords(totals, fields_read["totals"]).items():
        assert getattr(manifest, name) == value
    for table, entries, made in (
        (leaf, fields_read["leaf chunks"], manifest.leaf_chunks),
        (code, fields_read["code chunks"], manifest.code_chunks),
    ):
        assert isinstance(entries, list)
        kind = type(made[0])
        assert names(table) == [field.name for field in fields(kind)]
        assert tuple(kind(**_keywords(table, entry)) for entry in entries) == made  # type: ignore[arg-type]
    assert {LeafEntry, CodeEntry} == {type(manifest.leaf_chunks[0]), type(manifest.code_chunks[0])}
    assert cut[0]["meaning"] == " or ".join(f"`{kind}`" for kind in CUTS)


def _keywords(table: Sequence[Row], values: object) -> dict[str, object]:
    assert isinstance(values, list)
    return {name.replace(" ", "_"): value for name, value in named(table, values).items()}


def test_store(store: tuple[Path, Manifest]) -> None:
    folder, _ = store
    (table,) = tables("Store")
    documented = {row["path"].strip("`").partition("/")[0] for row in table}
    assert documented == {path.name for path in folder.iterdir()}
    groups = {checkpoint_store.MANIFESTS, checkpoint_store.CHUNKS, checkpoint_store.SPINES, checkpoint_store.STAGING}
    assert documented == groups
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != checkpoint_store.STAGING:
            assert checkpoint_store.parse_digest(path.name)
    assert [path.name for path in (folder / "staging").iterdir()] == ["lock"]


def test_spine(store: tuple[Path, Manifest]) -> None:
    file_table, piece_table = tables("Spine")
    folder, manifest = store
    data = (folder / "spines" / manifest.digest.hex()).read_bytes()
    parts = take_apart(file_table, data)
    assert (parts["format"].number, parts["zero"].number) == (1, 0)
    assert parts["chunk count"].number == len(manifest.leaf_chunks)
    joined = parts["offsets"].data + parts["end"].data
    offsets = [int.from_bytes(joined[at : at + 8], "little") for at in range(0, len(joined), 8)]
    assert offsets[0] == len(data) - len(parts["sections"].data)
    assert offsets[-1] == len(data)
    for index, entry in enumerate(manifest.leaf_chunks):
        encoded = data[offsets[index] : offsets[index + 1]]
        pieces = [named(piece_table, piece) for piece in cbor2.loads(encoded)]
        assert [tuple(piece.values()) for piece in pieces] == list(
            decode_section(encoded, entry.leaf_count, limits=Limits())
        )
    assert names(piece_table) == list(SpinePiece._fields)
    assert piece_table[2]["meaning"] == f"{NODE} subtree, {VALUE} value of a branch"
    assert f"at most {PIECE_LEAVES} leaves" in section("Spine")


def test_write_log() -> None:
    (table,) = tables("Write log")
    assert names(table) == [field.name for field in fields(WriteLog)]
    log = WriteLog(3, b"\1" * 32, b"\2" * 32, (b"\3",), ((b"\4", b"\5"), (b"\6", None)), ((b"\7" * 32, b"\x08"),))
    assert set(cbor2.load(io.BytesIO(encode_cbor(log)))) == set(names(table))
    line = from_json(encode_json(log))
    for row in table:
        without = {name: value for name, value in line.items() if name != row["name"]}
        if row["needed"] == "yes":
            with pytest.raises(InvalidWriteLogError):
                decode_json(to_json(without), StoreLimits())
        else:
            decode_json(to_json(without), StoreLimits())


def from_json(line: bytes) -> dict[str, object]:
    """A JSON line as its fields."""
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def to_json(values: Mapping[str, object]) -> bytes:
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    ("heading", "check"),
    [
        ("Leaf run", lambda store: test_leaf_run()),
        ("Range proof", lambda store: test_range_proof(store)),
        ("Chunk", lambda store: test_chunk()),
        ("Manifest", lambda store: test_manifest(store)),
        ("Spine", lambda store: test_spine(store)),
        ("Write log", lambda store: test_write_log()),
    ],
)
def test_a_changed_table_is_noticed(
    heading: str, check: Callable[[object], None], monkeypatch: pytest.MonkeyPatch, store: tuple[Path, Manifest]
) -> None:
    """The tests above can fail: with the last row of any table gone, they do."""
    for number in range(len(tables(heading))):
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules[__name__], "TEXT", _without_last_row(heading, number))
            with pytest.raises((AssertionError, KeyError, ValueError, TypeError)):
                check(store)


def _without_last_row(heading: str, number: int) -> str:
    body = section(heading)
    block = re.findall(r"(?:^\|.*\n)+", body, re.MULTILINE)[number]
    shorter = block.rstrip("\n").rpartition("\n")[0] + "\n"
    return TEXT.replace(body, body.replace(block, shorter))
