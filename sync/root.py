"""Root: what a user brings as trusted, and what every checkpoint says it is a checkpoint of.

A Root names one state of one chain. It is plain data: whether its scheme exists is for `proofs` to say. No field of
a Root that is used for verifying ever comes from a peer; a Root found in a manifest is only ever compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["HASH_BYTES", "HEIGHT_MAX", "NAMESPACE_BYTES_MAX", "Root", "parse_hex"]

HASH_BYTES = 32
HEIGHT_MAX = 2**63 - 1
NAMESPACE_BYTES_MAX = 64

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_DECIMAL = re.compile(r"[0-9]{1,19}")
_FIELDS = ("scheme", "kind", "namespace", "height", "hash")


@dataclass(frozen=True, slots=True)
class Root:
    """(scheme, kind, namespace, height, root hash). Equal when every field is.

    `scheme` and `kind` are 1 to 32 characters of `a-z`, `0-9`, `-`; `kind` may be empty. 0 <= height < 2**63.

    Raises:
        ValueError: a field out of these bounds.
    """

    scheme: str
    kind: str
    namespace: bytes
    height: int
    hash: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.scheme):
            raise ValueError(f"{self.scheme!r} cannot be the name of a scheme")
        if self.kind and not _NAME.fullmatch(self.kind):
            raise ValueError(f"{self.kind!r} cannot be a kind")
        if len(self.namespace) > NAMESPACE_BYTES_MAX:
            raise ValueError(f"a namespace has at most {NAMESPACE_BYTES_MAX} bytes, not {len(self.namespace)}")
        if not 0 <= self.height <= HEIGHT_MAX:
            raise ValueError(f"height {self.height} is not between 0 and 2**63 - 1")
        if len(self.hash) != HASH_BYTES:
            raise ValueError(f"a root hash has {HASH_BYTES} bytes, not {len(self.hash)}")

    def __str__(self) -> str:
        """`scheme:kind:namespace:height:hash`, bytes in hex; `Root.parse` reads it."""
        return f"{self.scheme}:{self.kind}:{self.namespace.hex()}:{self.height}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Root:
        """The Root printed as `text`.

        Raises:
            ValueError: another form, or a field out of bounds.
        """
        parts = text.strip().split(":")
        if len(parts) != len(_FIELDS):
            raise ValueError("a root is written scheme:kind:namespace:height:hash")
        return cls.from_json(dict(zip(_FIELDS, parts, strict=True)))

    def to_json(self) -> dict[str, str | int]:
        """A JSON object; bytes in hex without prefix."""
        return {
            "scheme": self.scheme,
            "kind": self.kind,
            "namespace": self.namespace.hex(),
            "height": self.height,
            "hash": self.hash.hex(),
        }

    @classmethod
    def from_json(cls, untrusted: Mapping[str, object]) -> Root:
        """The Root in a JSON object: `kind` and `namespace` may be left out, `height` may be decimal text.

        Raises:
            ValueError: a field is missing, unknown, of another type, or out of bounds.
        """
        unknown = sorted(set(untrusted) - set(_FIELDS))
        if unknown:
            raise ValueError(f"a root has no field {unknown[0]!r}")
        height = untrusted.get("height")
        if isinstance(height, str) and _DECIMAL.fullmatch(height):
            height = int(height)
        if not isinstance(height, int) or isinstance(height, bool):
            raise ValueError("the height of a root is an integer")
        return cls(
            _text(untrusted, "scheme"),
            _text(untrusted, "kind", ""),
            parse_hex(_text(untrusted, "namespace", "")),
            height,
            parse_hex(_text(untrusted, "hash")),
        )


def parse_hex(text: str) -> bytes:
    """Bytes written in hex, with or without 0x.

    Raises:
        ValueError: an odd number of digits, or anything else between them.
    """
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    try:
        if digits and not digits.isalnum():
            raise ValueError("bytes.fromhex would skip blanks")
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"{text[:80]!r} is not hex") from None


def _text(untrusted: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = untrusted.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"the field {name!r} of a root is text")
    return value
