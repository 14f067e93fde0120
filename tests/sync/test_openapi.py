"""The page, the OpenAPI document, the limits and the tests that the page names, compared with each other."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from sync.limits import Limits
from sync.openapi import openapi_document
from tests.source import ROOT

PAGE = (ROOT / "docs" / "protocol.md").read_text("utf-8")
DOCUMENT = openapi_document(Limits())


def rows(heading: str) -> list[list[str]]:
    """Cells of every table row below a heading of the page."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_names_every_route() -> None:
    paths = {cells[0].strip("`"): cells[2] for cells in rows("Routes")[1:]}
    assert set(paths) == set(DOCUMENT["paths"])
    for path, types in paths.items():
        documented = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]
        assert set(re.findall(r"`(\w+/[\w.-]+)`", types)) == set(documented)


def test_the_page_names_every_status() -> None:
    statuses = {cells[0] for cells in rows("Statuses")[1:]}
    documented = {
        status
        for operations in DOCUMENT["paths"].values()
        for operation in operations.values()
        for status in operation["responses"]
    }
    assert statuses == documented


def test_the_page_has_the_limits_as_they_are() -> None:
    defaults = {field.name: field.default for field in fields(Limits)}
    listed = {cells[0].strip("`"): cells[1] for cells in rows("Limits") if cells[0].startswith("`")}
    assert listed == {name: str(defaults[name]) for name in listed}


@pytest.mark.parametrize("named", sorted({cells[-1].rstrip(" |").strip("`") for cells in rows("Threats")[1:]}))
def test_every_threat_has_its_test(named: str) -> None:
    """Fails if a test that the threat table names is renamed or removed."""
    file, _, test = named.partition("::")
    assert f"def {test}(" in (ROOT / "tests" / file).read_text("utf-8") if test else (ROOT / "tests" / file).exists()


def test_operations_are_whole() -> None:
    for path, operations in DOCUMENT["paths"].items():
        assert set(operations) == {"get", "head"}
        for operation in operations.values():
            named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))
