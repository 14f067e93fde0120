"""The OpenAPI document of the endpoint, kept by hand; a test compares it with the routes and the statuses.

docs/protocol.md says the same for people.
"""

from __future__ import annotations

from typing import Any

from flatdb.types import HEIGHT_MAX, KEY_BYTES_MAX
from sync import wire
from sync.limits import Limits

__all__ = ["openapi_document"]

_DIGEST = {
    "name": "digest",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}
_CONDITIONS = [
    {"name": name, "in": "header", "schema": {"type": "string"}}
    for name in ("If-Match", "If-None-Match", "If-Range", "Range")
]
_STATUSES = {
    200: "The whole body",
    206: "The part that Range asked for",
    304: "If-None-Match names these bytes",
    400: "A parameter is not what it should be",
    404: "Not here",
    412: "If-Match names other bytes",
    413: "The request has a body",
    416: "The range begins behind the end",
    422: "No proof within the limits",
    429: "Too many requests or bytes; Retry-After says for how long",
    503: "Not now",
}
_BYTES_STATUSES = (200, 206, 304, 412, 413, 416, 429, 503)


def openapi_document(limits: Limits) -> dict[str, Any]:
    """OpenAPI 3.1, as a JSON object. Limits that a client meets are in it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "leafmirror sync endpoint",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Checkpoints, write logs and proofs, for clients that verify all of it.",
        },
        "paths": {
            wire.CHECKPOINTS: _bytes_path("Published checkpoints", wire.JSON, [_number("height", HEIGHT_MAX)], 400),
            wire.MANIFEST: _bytes_path("A manifest, by its digest", wire.CBOR, [_DIGEST], 404),
            wire.CHUNK: _bytes_path("Stored bytes of a chunk, by its digest", wire.BYTES, [_DIGEST], 404),
            wire.PROOF: _bytes_path(
                "The smallest provable range that covers a key or a range",
                wire.CBOR,
                [_DIGEST, _key("key"), _key("start"), _key("end")],
                *(400, 404, 422),
            ),
            wire.WRITE_LOGS: _path(
                "Kept write logs from a height on",
                {wire.NDJSON, wire.CBOR_SEQUENCE},
                [_number("from", HEIGHT_MAX), _number("count", limits.write_logs_max)],
                (200, 400, 404, 413, 429, 503),
            ),
            wire.HEALTH: _path("Whether it lives", {wire.JSON}, [], (200, 413)),
            wire.READY: _path("Whether to send requests here, and if not, why", {wire.JSON}, [], (200, 413, 503)),
            wire.METRICS: _path("Metrics, if any are kept", {"text/plain"}, [], (200, 404, 413)),
            wire.OPENAPI: _bytes_path("This document", wire.JSON, []),
        },
    }


def _bytes_path(summary: str, content_type: str, parameters: list[dict[str, Any]], *statuses: int) -> dict[str, Any]:
    return _path(summary, {content_type}, [*parameters, *_CONDITIONS], (*_BYTES_STATUSES, *statuses))


def _path(
    summary: str, content_types: set[str], parameters: list[dict[str, Any]], statuses: tuple[int, ...]
) -> dict[str, Any]:
    responses: dict[str, Any] = {str(status): {"description": _STATUSES[status]} for status in sorted(statuses)}
    responses["200"]["content"] = {content_type: {} for content_type in sorted(content_types)}
    operation = {"summary": summary, "parameters": parameters, "responses": responses}
    return {"get": operation, "head": operation}


def _number(name: str, largest: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 0, "maximum": largest}
    return {"name": name, "in": "query", "schema": schema}


def _key(name: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": "^(0x)?([0-9a-fA-F]{2})*$", "maxLength": 2 * KEY_BYTES_MAX + 2}
    return {"name": name, "in": "query", "schema": schema}
