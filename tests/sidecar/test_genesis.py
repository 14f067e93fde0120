"""The demo's genesis: found without importing its package, and nothing but mainnet's is taken."""

import sys
from importlib import metadata
from pathlib import Path

import pytest

from sidecar.demo import genesis
from sidecar.errors import DemoDataMissingError, DemoFailedError


@pytest.fixture
def installed() -> None:
    try:
        metadata.version(genesis.PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip("the extra `demo` is not installed")


@pytest.mark.usefixtures("installed")
def test_mainnet() -> None:
    write_log = genesis.load_mainnet_genesis()
    assert write_log.root == genesis.MAINNET_ROOT
    assert len(write_log.writes) == 8893
    assert "ethereum" not in sys.modules, "the package itself must not run"


@pytest.mark.usefixtures("installed")
def test_another_allocation_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "mainnet.json"
    other.write_text('{"alloc": {}}')
    monkeypatch.setattr(genesis, "_find_asset", lambda: other)
    with pytest.raises(DemoFailedError):
        genesis.load_mainnet_genesis()


@pytest.mark.parametrize("package", ["no-such-package-at-all", "pytest"])
def test_missing(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Not installed, and installed without the asset."""
    monkeypatch.setattr(genesis, "PACKAGE", package)
    with pytest.raises(DemoDataMissingError) as caught:
        genesis.load_mainnet_genesis()
    assert "leafmirror[demo]" in caught.value.hint
