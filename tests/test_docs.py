"""The documents tell the truth: their links lead somewhere and their marked snippets run.

A snippet runs if the line before its fence is `<!-- test -->`. The snippets of one document run in order in one
empty folder. `python` is run as a script. In `console`, each line that starts with `$ ` is run by bash, and the
lines below it are its output, where `...` stands for anything, as in doctest.
"""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SNIPPET = re.compile(r"^<!-- test -->\n+```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARKER = re.compile(r"^<!-- test -->$", re.MULTILINE)
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
SNIPPET_S_MAX = 120


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(document: Path) -> None:
    """Fails for a relative link whose file, or whose heading in it, does not exist."""
    text = FENCE.sub("", document.read_text("utf-8"))
    assert not [link for link in LINK.findall(text) if not _resolves(document, link)]


def _resolves(document: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True  # another site: not ours to keep
    name, _, anchor = link.partition("#")
    target = document.parent / name if name else document
    if not target.exists():
        return False
    return not anchor or anchor in _anchors(target)


def _anchors(document: Path) -> set[str]:
    """The headings of a document as the usual renderers name them."""
    headings = HEADING.findall(FENCE.sub("", document.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_snippets_run(document: Path, tmp_path: Path) -> None:
    text = document.read_text("utf-8")
    snippets = SNIPPET.findall(text)
    assert len(snippets) == len(MARKER.findall(text)), "a marker that is not followed by a fence with a language"
    for language, body in snippets:
        if language == "python":
            _run_python(body, tmp_path)
        elif language == "console":
            _run_console(body, tmp_path)
        else:
            pytest.fail(f"no way to run {language}")


def _run_python(body: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", body], cwd=folder, capture_output=True, text=True, timeout=SNIPPET_S_MAX
    )
    assert done.returncode == 0, done.stderr


def _run_console(body: str, folder: Path) -> None:
    """Run each command with this interpreter's own `leafmirror` first on the path, and compare what it prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command, expected in _commands(body):
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=os.environ | {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1"},
            capture_output=True, text=True, timeout=SNIPPET_S_MAX,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        same = doctest.OutputChecker().check_output(
            expected, done.stdout, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        )
        assert same or not expected, f"{command}: expected\n{expected}\nbut it printed\n{done.stdout}"


def _commands(body: str) -> Iterator[tuple[str, str]]:
    found = COMMAND.findall(body)
    assert found, "a console snippet without a command"
    yield from found


def test_console_checks_what_is_printed(tmp_path: Path) -> None:
    """The harness itself can fail: on another output, and on a command that fails."""
    _run_console("$ echo one two\none ...\n", tmp_path)
    with pytest.raises(AssertionError):
        _run_console("$ echo one\ntwo\n", tmp_path)
    with pytest.raises(AssertionError):
        _run_console("$ false\n", tmp_path)
