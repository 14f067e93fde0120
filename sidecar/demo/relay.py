"""Bad peers: a relay in front of an honest endpoint that spoils the chunks it passes on.

It speaks HTTP with the standard library alone, in threads of this process, on the loopback interface. Manifests and
everything else pass through untouched: such a peer looks honest until a chunk is asked of it.
"""

from __future__ import annotations

import threading
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

__all__ = ["Fault", "Relay"]

_HOP_HEADERS = frozenset(("connection", "keep-alive", "transfer-encoding", "date", "server", "content-length"))
_UPSTREAM_TIMEOUT_S = 30.0


class Fault(StrEnum):
    """What a relay does to chunks."""

    FLIP = "flip"
    """One bit in the middle is flipped."""
    STALL = "stall"
    """Half of the bytes are sent, and then nothing ever."""


class Relay(ThreadingHTTPServer):
    """A context manager: listens while it is open."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, upstream: str, fault: Fault) -> None:
        """`upstream`: the URL of the honest endpoint."""
        self.upstream = urlsplit(upstream)
        self.fault = fault
        self.spoiled = 0
        """Chunks that were spoiled so far."""
        self.ended = threading.Event()
        self._counting = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)
        # A daemon thread: an interrupt that comes while it is being started must not keep the process alive.
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name=f"relay {fault}", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count_spoiled(self) -> None:
        with self._counting:
            self.spoiled += 1

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up on a bad peer is right to do so: no trace of it on the terminal."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Relay
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, headers, body = self._ask_upstream()
        spoil = "/chunks/" in self.path and status in (200, 206) and bool(body)
        if spoil:
            self.server.count_spoiled()
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if spoil and self.server.fault is Fault.STALL:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.server.ended.wait()
            self.close_connection = True
        else:
            self.wfile.write(_flip(body) if spoil else body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base class's)
        """Say nothing: the demo owns the terminal."""

    def _ask_upstream(self) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = self.server.upstream
        connection = HTTPConnection(upstream.hostname or "", upstream.port, timeout=_UPSTREAM_TIMEOUT_S)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_HEADERS}
            connection.request(self.command, self.path, headers=headers | {"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


def _flip(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes((body[middle] ^ 1,)) + body[middle + 1 :]
