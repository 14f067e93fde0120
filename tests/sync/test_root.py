"""Root: fields within bounds, printed forms that read back, nothing else accepted."""

from __future__ import annotations

import pytest

from sync.root import HEIGHT_MAX, Root, parse_hex

ROOT = Root("mkvs", "state", bytes(range(32)), 12, b"\xab" * 32)


@pytest.mark.parametrize(
    "root", [ROOT, Root("ethereum", "", b"", 0, bytes(32)), Root("nomt-sha2", "", b"\1", HEIGHT_MAX, bytes(32))]
)
def test_printed_forms_read_back(root: Root) -> None:
    assert Root.parse(str(root)) == root
    assert Root.from_json(root.to_json()) == root


def test_json_may_leave_out_what_most_chains_do_not_have() -> None:
    bare = {"scheme": "ethereum", "height": "7", "hash": "0x" + "0f" * 32}
    assert Root.from_json(bare) == Root("ethereum", "", b"", 7, b"\x0f" * 32)


@pytest.mark.parametrize(
    "change",
    [
        {"scheme": ""},
        {"scheme": "MKVS"},
        {"scheme": "a" * 33},
        {"scheme": "mkvs\n"},
        {"scheme": 1},
        {"kind": "../state"},
        {"namespace": "0"},
        {"namespace": "00" * 65},
        {"namespace": "0 0 "},
        {"height": -1},
        {"height": HEIGHT_MAX + 1},
        {"height": True},
        {"height": "1e3"},
        {"height": "٣"},
        {"height": None},
        {"hash": "ab" * 31},
        {"hash": None},
        {"trust": "me"},
    ],
)
def test_any_other_field_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Root.from_json({**ROOT.to_json(), **change})


@pytest.mark.parametrize("text", ["", "mkvs", "mkvs:state:12:ab", str(ROOT) + ":", str(ROOT).replace("12", "x")])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Root.parse(text)


def test_hex_is_read_with_and_without_its_prefix() -> None:
    assert parse_hex("0xAb01") == parse_hex("ab01") == b"\xab\x01"
    assert parse_hex("") == parse_hex("0x") == b""
    for text in ("0", "0x0x00", "zz", "00 00", "\uff10\uff10"):
        with pytest.raises(ValueError):
            parse_hex(text)
