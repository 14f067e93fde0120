"""Published JAM traces: JSON equals binary, and a mirror follows every one of them and no fork."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flatdb import FlatDB, FlatDBError, Identity
from proofs import get_scheme, leaf_items, state_root
from sidecar.errors import InvalidImportError
from sidecar.jam.trace import Step, convert_changes, parse_step, parse_step_json

TRACES = ("fallback", "preimages", "preimages_light", "safrole", "storage", "storage_light")
RAW = ("raw_preimages_00000050", "raw_storage_light_00000001")
JAM = get_scheme("jam")


def unpack(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


@pytest.mark.parametrize("name", RAW)
def test_json_and_binary_say_the_same(data: Path, name: str) -> None:
    binary = parse_step("step", unpack(data / "jam" / f"{name}.bin.gz"))
    text = parse_step_json("step", unpack(data / "jam" / f"{name}.json.gz"))
    assert (binary.before, binary.after, binary.slot) == (text.before, text.after, text.slot)
    assert binary.write_log() == text.write_log()
    assert binary.header is not None
    assert binary.header.parent_state_root == binary.before.root
    assert not binary.is_rejected


def test_a_header_hashes_to_what_its_child_names(data: Path) -> None:
    first = parse_step("step", unpack(data / "jam" / "raw_storage_light_00000001.bin.gz"))
    trace = json.loads(unpack(data / "jam" / "trace_storage_light.json.gz"))
    assert first.header is not None
    assert first.header.hash.hex() == trace["steps"][1]["parent"]


@pytest.mark.parametrize("name", TRACES)
def test_a_mirror_follows_a_trace(data: Path, tmp_path: Path, name: str) -> None:
    """Every height's own leaves fold to the posterior root; a log from elsewhere is refused and changes nothing."""
    write_logs = list(convert_changes(unpack(data / "jam" / f"trace_{name}.json.gz")))
    assert len(write_logs) == 101
    with FlatDB.create(tmp_path / "mirror", Identity("jam")) as db:
        for write_log in write_logs:
            db.apply(write_log)
            assert state_root(JAM, leaf_items(db.scan())) == write_log.root
        head = db.head
        sibling = replace(write_logs[50], root=b"\1" * 32)
        orphan = replace(write_logs[-1], height=write_logs[-1].height + 1)
        for fork in (sibling, orphan):
            with pytest.raises(FlatDBError):
                db.apply(fork)
        assert db.head == head
        assert state_root(JAM, leaf_items(db.scan())) == write_logs[-1].root


def test_a_rejected_block_gives_no_write_log(data: Path) -> None:
    document = json.loads(unpack(data / "jam" / "trace_storage.json.gz"))
    step = document["steps"][3]
    document["steps"][3] = step | {"post_root": step["pre_root"], "set": {}, "delete": []}
    assert len(list(convert_changes(json.dumps(document).encode()))) == 100


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda d: d | {"steps": []}, id="no-steps"),
        pytest.param(lambda d: d | {"base_states": [d["base_states"][0] | {"root": "00" * 32}]}, id="base-root"),
        pytest.param(lambda d: d | {"steps": [d["steps"][0] | {"slot": 2**32}]}, id="slot"),
        pytest.param(lambda d: d | {"steps": [d["steps"][0] | {"set": {"00": "00"}}]}, id="key-size"),
        pytest.param(lambda d: d | {"steps": [d["steps"][0] | {"set": {"0x" + "00" * 31: "0"}}]}, id="odd-hex"),
        pytest.param(
            lambda d: d | {"steps": [d["steps"][0] | {"set": {"AB" * 31: "", "ab" * 31: ""}}]}, id="key-twice"
        ),
        pytest.param(
            lambda d: d | {"steps": [d["steps"][0] | {"delete": list(d["steps"][0]["set"])}]}, id="set-and-deleted"
        ),
        pytest.param(
            lambda d: d | {"steps": [d["steps"][0] | {"header_parent_state_root": "11" * 32}]}, id="prior-root"
        ),
    ],
)
def test_a_damaged_change_stream(data: Path, change: Callable[[Any], Any]) -> None:
    document = json.loads(unpack(data / "jam" / "trace_storage.json.gz"))
    with pytest.raises(InvalidImportError):
        list(convert_changes(json.dumps(change(document)).encode()))


@pytest.mark.parametrize("at", [0, 32, 40, 70, 161_925, 161_925 + 96, 164_560, -1])
def test_a_flipped_byte_of_a_step(data: Path, step: Step, at: int) -> None:
    """States are checked against their roots; the block between them is passed over."""
    raw = bytearray(unpack(data / "jam" / f"{RAW[0]}.bin.gz"))
    raw[at] ^= 0x10
    try:
        parsed = parse_step("step", bytes(raw))
    except InvalidImportError:
        return
    assert (parsed.before, parsed.after) == (step.before, step.after)


@pytest.mark.parametrize("size", [0, 31, 32, 1000, 161_925, 162_100, 320_000])
def test_a_step_that_is_cut_off(data: Path, size: int) -> None:
    with pytest.raises(InvalidImportError):
        parse_step("step", unpack(data / "jam" / f"{RAW[0]}.bin.gz")[:size])
