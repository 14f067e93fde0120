"""JSON from other programs: bounded before it is parsed."""

import json

import pytest

from sidecar.errors import InvalidImportError
from sidecar.importers.json_input import DEPTH_MAX, parse_document, parse_word


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_depth_is_judged_before_the_parser_recurses() -> None:
    """Fails if it is left to the interpreter's limit, which other libraries raise until the parser crashes."""
    parse_document(nested(DEPTH_MAX))
    with pytest.raises(InvalidImportError):
        parse_document(nested(DEPTH_MAX + 1))


@pytest.mark.parametrize("text", ["[" * 100, '"[' * 50, "\\" * 51 + '"[' * 40, '{"' * 99])
def test_brackets_in_strings_do_not_count(text: str) -> None:
    assert parse_document(json.dumps([text, {text: 1}]).encode()) == [text, {text: 1}]


def test_strings_do_not_hide_depth() -> None:
    with pytest.raises(InvalidImportError):
        parse_document(b'["]]]]", ' * 100)


def test_words_are_padded_on_the_left() -> None:
    assert parse_word("w", "0xabc") == bytes(30) + b"\x0a\xbc"
    assert parse_word("w", "") == bytes(32)
