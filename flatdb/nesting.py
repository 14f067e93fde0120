"""A bound on the nesting of JSON, judged before a parser that recurses meets it.

Python's parser trusts the interpreter's recursion limit. A program that has raised the limit, as some libraries do when
they are imported, would be crashed by a few hundred kilobytes of brackets.
"""

from __future__ import annotations

__all__ = ["nests_at_most"]

_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))


def nests_at_most(data: bytes, levels: int) -> bool:
    """Whether brackets are balanced and nest at most a few levels deep.

    True for every depth up to `levels`, False for every depth beyond twice as many. Brackets within strings count too:
    for documents whose strings are hex and names. Runs at the speed of memory; each round takes the innermost level.
    """
    brackets = data.translate(None, _NO_BRACKET)
    for _ in range(levels):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return not brackets
