"""How many bytes of chunks does the endpoint serve over loopback in a second?

Two clients read all chunks over and over through plain sockets; beside it, what sendfile gives on this machine between
two processes, with nothing else done.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.answer import Fields, main, workplace
from benchmarks.workload import SHAPES
from sidecar.bench import fill, time_create
from sync import wire
from sync.checkpoint_store import CheckpointStore
from sync.limits import Limits
from sync.server import make_app, serving

BUFFER_BYTES = 2**20
NO_LIMIT = 2**40


OPTIONS: Fields = {"leaves": 500_000, "clients": 2, "seconds": 2.0}


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    scheme, generate = SHAPES[options.shape]
    with workplace(options) as work:
        mirror, store = Path(work) / "mirror", Path(work) / "store"
        fill(mirror, scheme, generate(options.leaves, options.seed))
        time_create(mirror, store, workers=os.cpu_count() or 1)
        folder = CheckpointStore.folder(store)
        manifest = folder.manifest(folder.digests()[0])
        paths = [wire.chunk_path(entry.digest) for entry in manifest.leaf_chunks]
        with _endpoint(store) as url:
            parts = urlsplit(url)
            address = (parts.hostname or "", parts.port or 0)
            rate = _together(options, lambda: _read_chunks(address, paths, options.seconds))
        yield {"who": "leafmirror", "clients": options.clients, "bytes_per_second": rate}
        files = [path for entry in manifest.leaf_chunks if (path := folder.chunk_path(entry.digest))]
        yield {"who": "sendfile", "clients": options.clients, "bytes_per_second": _sendfile(options, files)}


@contextmanager
def _endpoint(store: Path) -> Iterator[str]:
    """As `sidecar.bench.endpoint`, without the quota that keeps one client from taking all."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(store, theirs))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def _serve(store: Path, pipe: Connection) -> None:
    limits = Limits(client_bytes_per_s_max=NO_LIMIT, served_bytes_per_s_max=NO_LIMIT)

    async def run() -> None:
        app = make_app(CheckpointStore.folder(store, limits=limits))
        async with serving(app, "127.0.0.1", 0) as url:
            pipe.send(url)
            await asyncio.to_thread(pipe.recv)

    asyncio.run(run())


def _together(options: argparse.Namespace, read: Callable[[], int]) -> float:
    received: list[int] = []
    clients = [threading.Thread(target=lambda: received.append(read())) for _ in range(options.clients)]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sum(received) / (time.perf_counter() - began)


def _read_chunks(address: tuple[str, int], paths: list[str], seconds: float) -> int:
    """Bytes of bodies read on one connection that stays open."""
    received = 0
    buffer = bytearray(BUFFER_BYTES)
    until = time.perf_counter() + seconds
    with socket.create_connection(address) as connection:
        while time.perf_counter() < until:
            for path in paths:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
                received += _read_body(connection, buffer)
    return received


def _read_body(connection: socket.socket, buffer: bytearray) -> int:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    head, _, body = head.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    sizes = (line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    size = int(next(sizes))
    left = size - len(body)
    while left:
        left -= connection.recv_into(buffer, min(left, BUFFER_BYTES))
    return size


def _sendfile(options: argparse.Namespace, files: list[Path]) -> float:
    """The same files by sendfile from another process."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        pid = os.fork()
        if not pid:
            _send_forever(server, files, options.clients)
        try:
            rate = _together(options, lambda: _drain(server.getsockname(), options.seconds))
        finally:
            os.waitpid(pid, 0)
    return rate


def _send_forever(server: socket.socket, files: list[Path], clients: int) -> None:
    def send(connection: socket.socket) -> None:
        try:
            while True:
                for path in files:
                    with path.open("rb") as file:
                        connection.sendfile(file)
        except OSError:
            return

    threads = [threading.Thread(target=send, args=(server.accept()[0],)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0)


def _drain(address: tuple[str, int], seconds: float) -> int:
    received = 0
    buffer = bytearray(BUFFER_BYTES)
    until = time.perf_counter() + seconds
    with socket.create_connection(address) as connection:
        while time.perf_counter() < until:
            received += connection.recv_into(buffer)
    return received


if __name__ == "__main__":
    main("serving", measure, OPTIONS)
