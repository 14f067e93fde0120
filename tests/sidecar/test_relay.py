"""Bad peers: they spoil chunks, and nothing else."""

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sidecar.demo.relay import Fault, Relay

BODY = bytes(range(256))


class Honest(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if "absent" in self.path else 200)
        self.send_header("Content-Length", str(len(BODY)))
        self.send_header("ETag", '"tag"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(BODY)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Honest)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(relay: Relay, path: str, *, timeout_s: float = 10.0) -> tuple[int, str | None, bytes]:
    connection = HTTPConnection("127.0.0.1", relay.server_address[1], timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("ETag"), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("fault", Fault)
def test_everything_but_chunks_passes(upstream: str, fault: Fault) -> None:
    with Relay(upstream, fault) as relay:
        assert ask(relay, "/v1/checkpoints") == (200, '"tag"', BODY)
        assert ask(relay, "/v1/chunks/absent")[0] == 404
        assert relay.spoiled == 0


def test_flip_changes_one_bit(upstream: str) -> None:
    with Relay(upstream, Fault.FLIP) as relay:
        status, tag, body = ask(relay, "/v1/checkpoints/x/chunks/y")
        assert (status, tag, len(body)) == (200, '"tag"', len(BODY))
        assert sum((a ^ b).bit_count() for a, b in zip(body, BODY, strict=True)) == 1
        assert relay.spoiled == 1


def test_stall_sends_half_and_ends_with_the_relay(upstream: str) -> None:
    with Relay(upstream, Fault.STALL) as relay:
        with pytest.raises(TimeoutError):
            ask(relay, "/v1/checkpoints/x/chunks/y", timeout_s=0.2)
        assert relay.spoiled == 1
