"""Metrics: named by the rules, and every one of them explained in docs/operations.md."""

import re

from sidecar.metrics import Metrics
from tests.source import ROOT


def exported() -> dict[str, str]:
    """Name -> type, as the exposition text declares them; `_created` series are the library's own."""
    text = Metrics().encode().decode()
    found = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    return {name: kind for name, kind in found.items() if not name.endswith("_created")}


def test_each_is_documented_and_none_besides() -> None:
    """Fails for a metric without advice, and for advice about a metric that is gone."""
    text = (ROOT / "docs/operations.md").read_text()
    documented = set(re.findall(r"^\| `(leafmirror_\w+)", text, re.MULTILINE))
    assert documented == set(exported())


def test_names_end_in_what_they_count() -> None:
    for name, kind in exported().items():
        assert re.fullmatch(r"leafmirror_[a-z_]+", name)
        assert name.endswith("_total") == (kind == "counter"), name


def test_two_in_one_process() -> None:
    first, second = Metrics(), Metrics()
    first.heights.inc()
    assert b"leafmirror_applied_heights_total 1.0" in first.encode()
    assert b"leafmirror_applied_heights_total 0.0" in second.encode()
