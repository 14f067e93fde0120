"""How deep foreign JSON may nest."""

import json
import sys

import pytest

from flatdb import StoreLimits, decode_json
from flatdb.errors import InvalidWriteLogError
from flatdb.nesting import nests_at_most


@pytest.mark.parametrize("document", [{}, [], {"a": [[1, 2], [3, {}]]}, [[[]]], 5, [{"a": {}}]])
def test_what_nests_a_little_passes(document: object) -> None:
    """Fails if a level is counted that is none."""
    assert nests_at_most(json.dumps(document).encode(), 3)


@pytest.mark.parametrize("document", [b"[" * 7 + b"]" * 7, b'{"a":' * 7 + b"1" + b"}" * 7, b"[", b"]", b"[}", b"]["])
def test_what_nests_too_deep_or_is_no_json_does_not(document: bytes) -> None:
    """Fails if depth or balance is not looked at."""
    assert not nests_at_most(document, 3)


def test_a_raised_recursion_limit_does_not_let_brackets_crash_us() -> None:
    """Fails, with the whole process, if a line reaches the recursive parser before its nesting was judged."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        with pytest.raises(InvalidWriteLogError):
            decode_json(b"[" * 2_000_000, StoreLimits())
    finally:
        sys.setrecursionlimit(limit)
