"""Every registered scheme passes every check of `conformance`, over random states."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs import SCHEMES, get_scheme, state_root
from tests.properties.conformance import ALL_CHECKS, Check
from tests.properties.scheme_states import STATES


def test_every_scheme_has_states() -> None:
    assert STATES.keys() == SCHEMES.keys()


@pytest.mark.parametrize("name", SCHEMES)
def test_the_empty_state_has_its_root(name: str) -> None:
    scheme = get_scheme(name)
    assert scheme.name == name
    assert state_root(scheme, iter(())) == scheme.empty_root
    assert len(scheme.empty_root) == 32


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", SCHEMES)
def test_conformance(name: str, check: Check) -> None:
    @settings(max_examples=60)
    @given(state=STATES[name], seed=st.integers(0, 2**32))
    def run(state: list[tuple[bytes, bytes]], seed: int) -> None:
        check(get_scheme(name), state, random.Random(seed))

    run()
