__version__: str

def frontier(
    scheme: str,
    run: bytes,
    before: bytes | None = None,
    after: bytes | None = None,
    hashed: bytes | None = None,
) -> list[tuple[bytes, bytes, int, int]]: ...
def split(
    scheme: str, run: bytes, leaves_max: int, before: bytes | None = None, after: bytes | None = None
) -> list[tuple[int, int, int, bytes]]: ...
def decode(run: bytes) -> tuple[list[bytes], list[bytes]]: ...
def oasis_entries(
    run: bytes, shared: bytes, opened: bytes, ends: bytes, path: list[tuple[int, int]], inside: bool
) -> tuple[bytes, list[tuple[int, int]], list[tuple[int, int, int]]]: ...
def open_oasis_chunk(
    plain: bytes, entries_max: int, depth_max: int
) -> tuple[bytes, tuple[list[bytes], list[bytes]], list[tuple[bytes, bytes, int, int]]]: ...
def schemes_known() -> list[str]: ...
