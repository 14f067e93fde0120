"""The worked example of docs/schemes.md passes every check that the registered schemes pass."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs import Scheme
from tests.properties.conformance import ALL_CHECKS, Check
from tests.properties.scheme_states import keys_of
from tests.source import ROOT

SNIPPET = re.compile(r"^<!-- test -->\n+```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def example() -> Scheme:
    (source,) = SNIPPET.findall((ROOT / "docs" / "schemes.md").read_text("utf-8"))
    names: dict[str, Scheme] = {}
    exec(compile(source, "docs/schemes.md", "exec"), names)
    return names["scheme"]


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_the_example_conforms(example: Scheme, check: Check) -> None:
    @settings(max_examples=40)
    @given(state=st.dictionaries(keys_of(4), st.binary(max_size=3), max_size=10), seed=st.integers(0, 2**32))
    def run(state: dict[bytes, bytes], seed: int) -> None:
        check(example, sorted(state.items()), random.Random(seed))

    run()
