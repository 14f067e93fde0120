"""The real Ethereum mainnet genesis, from the assets of the PyPI package `ethereum-execution`.

The file is found through the package's metadata: the package itself is never imported, so none of its code runs.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from flatdb import WriteLog
from sidecar.errors import DemoDataMissingError, DemoFailedError
from sidecar.importers.ethereum_genesis import convert_genesis

__all__ = ["MAINNET_ROOT", "load_mainnet_genesis"]

PACKAGE = "ethereum-execution"
ASSET = "ethereum/assets/mainnet.json"

MAINNET_ROOT = bytes.fromhex("d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544")
"""State root in the header of Ethereum's block 0."""


def load_mainnet_genesis() -> WriteLog:
    """The write log of height 0.

    Raises:
        DemoDataMissingError: the extra is not installed.
        DemoFailedError: the allocation is not mainnet's.
    """
    write_log = convert_genesis(_find_asset().read_bytes())
    if write_log.root != MAINNET_ROOT:
        raise DemoFailedError("genesis", f"the allocation folds to {(write_log.root or b'').hex()}")
    return write_log


def _find_asset() -> Path:
    try:
        files = metadata.files(PACKAGE) or ()
    except metadata.PackageNotFoundError:
        raise DemoDataMissingError(PACKAGE) from None
    for file in files:
        path = Path(str(file.locate()))
        if file.as_posix() == ASSET and path.is_file():
            return path
    raise DemoDataMissingError(PACKAGE)
