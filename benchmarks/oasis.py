"""How fast is a checkpoint in Oasis' own format made and restored, by us and by Oasis Core itself?

The real creator runs where `tests/interop/oasis/build` has built its program: over its own node database on the same
disk, freshly filled, one version. Both sides' metadata hashes must be equal, or nothing is reported. The real code's
commit of all leaves at once is not timed.
"""

from __future__ import annotations

import argparse
import resource
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answer import Fields, main, workplace
from benchmarks.workload import SHAPES
from proofs.oasis.messages import STATE, Metadata, OasisRoot
from sidecar.bench import fill
from sync.mirror import Mirror
from sync.oasis.create import CHUNK_BYTES, Chunking, create_checkpoint
from sync.oasis.restored import restore_directory
from sync.oasis.store import OasisStore
from tests.interop.program import PROGRAM, Oasis

OPTIONS: Fields = {"shape": "oasis", "chunk_bytes": CHUNK_BYTES, "threads": 0}


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    scheme, generate = SHAPES[options.shape]
    chunking = Chunking(chunk_bytes=options.chunk_bytes, threads=options.threads)
    with workplace(options) as work:
        folder = Path(work)
        fill(folder / "mirror", scheme, generate(options.leaves, options.seed))
        with Mirror.open(folder / "mirror") as mirror, mirror.freeze() as view:
            root = OasisRoot(bytes(32), 1, STATE, mirror.root().hash)
            for index in range(options.repeat):
                store = OasisStore(folder / f"ours-{index}")
                started, cpu = time.perf_counter(), time.process_time()
                metadata = create_checkpoint(view.items, root, store, chunking=chunking)
                yield _figure("leafmirror create", options, time.perf_counter() - started, time.process_time() - cpu)
            started, cpu = time.perf_counter(), time.process_time()
            restore_directory(store, root, folder / "restored")
            yield _figure("leafmirror restore", options, time.perf_counter() - started, time.process_time() - cpu)
            if PROGRAM.exists():
                yield from _theirs(options, folder, view.items(), metadata, store.path(root))


def _figure(name: str, options: argparse.Namespace, seconds: float, cpu_seconds: float | None = None) -> Fields:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "who": name,
        "seconds": round(seconds, 3),
        "cpu_seconds": cpu_seconds and round(cpu_seconds, 3),
        "leaves_per_second": round(options.leaves / seconds),
        "peak_memory_bytes": peak if cpu_seconds else None,
    }


def _theirs(
    options: argparse.Namespace, folder: Path, leaves: Iterator[tuple[bytes, bytes]], metadata: Metadata, ours: Path
) -> Iterator[Fields]:
    file = folder / "leaves"
    with file.open("wb") as out:
        out.writelines(struct.pack("<II", len(key), len(value)) + key + value for key, value in leaves)
    with subprocess.Popen(
        [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        oasis = Oasis(process)
        root = metadata.root
        db = oasis("open", namespace=root.namespace, on_disk=True)["db"]
        made = oasis("commit", db=db, version=root.version, type=root.root_type, leaves_file=file)["root"]
        oasis("finalize", db=db, roots=[bytes.fromhex(made)])
        theirs = folder / "theirs"
        theirs.mkdir(mode=0o700)
        answer = oasis(
            "checkpoint",
            db=db,
            root=root.encode(),
            dir=theirs,
            chunk_bytes=options.chunk_bytes,
            threads=options.threads,
        )
        assert answer["encoded_hash"] == metadata.encoded_hash.hex(), "the two sides made different checkpoints"
        yield _figure("Oasis Core create", options, answer["seconds"])
        yield _figure("Oasis Core restore", options, oasis("restore", dir=ours, on_disk=True)["seconds"])
        assert process.stdin is not None
        process.stdin.close()


if __name__ == "__main__":
    main("oasis", measure, OPTIONS)
