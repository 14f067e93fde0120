"""Which kernel runs, and that every kernel answers what the reference answers."""

import pytest

from proofs import InvalidLeafError, KernelUnavailableError, LeafOrderError, LeafRun, get_kernel, get_scheme
from proofs.kernel import VARIABLE, NativeKernel, ReferenceKernel


def test_the_environment_forces_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if get_kernel ignores the variable."""
    monkeypatch.setenv(VARIABLE, "reference")
    assert get_kernel().name == "reference"


def test_a_kernel_that_is_not_there_is_refused_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if an unknown name falls back in silence."""
    monkeypatch.setenv(VARIABLE, "quantum")
    with pytest.raises(KernelUnavailableError) as caught:
        get_kernel()
    assert caught.value.name == "quantum"
    assert "reference" in caught.value.available


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the argument is looked at second."""
    monkeypatch.setenv(VARIABLE, "quantum")
    assert get_kernel("reference").name == "reference"


@pytest.mark.parametrize("kernel", [ReferenceKernel(), NativeKernel()], ids=lambda kernel: kernel.name)
def test_illegal_leaves_are_named_by_every_kernel(kernel: ReferenceKernel | NativeKernel) -> None:
    """Fails if a kernel folds without checking leaves, or hides which leaf was bad."""
    with pytest.raises(InvalidLeafError) as caught:
        kernel.frontier(get_scheme("mpt"), LeafRun([b"a", b"b"], [b"1", b""]))
    assert caught.value.key == b"b"


@pytest.mark.parametrize("kernel", [ReferenceKernel(), NativeKernel()], ids=lambda kernel: kernel.name)
def test_a_neighbour_inside_the_run_is_refused_by_every_kernel(kernel: ReferenceKernel | NativeKernel) -> None:
    """Fails if `before` or `after` is not compared with the run."""
    run = LeafRun([b"b", b"d"], [b"1", b"2"])
    for before, after in ((b"b", None), (None, b"c")):
        with pytest.raises(LeafOrderError):
            kernel.frontier(get_scheme("mkvs"), run, before, after)
