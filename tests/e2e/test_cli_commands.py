"""What holds for every command: help with an example, --json, version, completion, documented in docs/cli.md."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from flatdb.writelog_file import save_write_logs
from sidecar.cli.app import app
from tests.e2e.cli import make_chain, ok, run, run_process
from tests.source import ROOT


def commands(tree: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command as the words that call it."""
    for command in tree.registered_commands:
        assert command.callback is not None
        yield (*path, command.name or command.callback.__name__)
    for group in tree.registered_groups:
        assert group.typer_instance is not None
        assert group.name is not None
        yield from commands(group.typer_instance, (*path, group.name))


COMMANDS = sorted(commands(app))
DOCUMENT = (ROOT / "docs/cli.md").read_text()
SCHEMA_ROWS = re.findall(r"^\| `leafmirror\.([\w.\-]+)/1` \| (.*) \|$", DOCUMENT, re.MULTILINE)


def test_the_commands_of_the_design_are_there() -> None:
    names = {" ".join(command) for command in COMMANDS}
    assert names >= {
        "init", "apply", "import ethereum-genesis", "import ethereum-writelogs", "status", "get", "scan", "root",
        "check", "checkpoint create", "checkpoint list", "checkpoint show", "checkpoint verify", "checkpoint prune",
        "serve", "restore", "sidecar", "demo", "bench", "doctor",
    }  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(command: tuple[str, ...]) -> None:
    """Fails for a command without an example or without --json."""
    done = run(*command, "--help")
    assert done.code == 0
    assert re.search(r"Example:\s+leafmirror", done.out), done.out
    assert "--json" in done.out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_are_documented(command: tuple[str, ...]) -> None:
    assert f"`leafmirror {' '.join(command)}" in DOCUMENT


def test_schemas_are_documented() -> None:
    """The rows of the document are the schemas that the source prints, no more and no fewer."""
    source = "".join(path.read_text() for path in (ROOT / "sidecar/cli").glob("*.py"))
    printed = set(re.findall(r'print_json\(\s*"([\w.\-]+)"', source))
    assert printed == {row[0] for row in SCHEMA_ROWS}


def test_fields_are_documented(tmp_path: Path) -> None:
    """Each document has exactly the fields of its row, or more that the row names by words."""
    mirror, store, chain = tmp_path / "m", tmp_path / "s", tmp_path / "c.ndjson"
    save_write_logs(chain, make_chain(2))
    documents = [
        ok("init", mirror, "--scheme", "mkvs"),
        ok("apply", mirror, chain),
        ok("status", mirror),
        ok("get", mirror, "00000020"),
        ok("root", mirror),
        ok("check", mirror),
        ok("checkpoint", "create", mirror, "--store", store),
        ok("checkpoint", "list", "--store", store),
        ok("checkpoint", "prune", "--store", store, "--keep", 1),
        ok("doctor"),
        ok("doctor", mirror, "--rebuild-catalog", "--store", store),
        run("status", tmp_path / "absent", "--json").document,
    ]
    rows = dict(SCHEMA_ROWS)
    for document in documents:
        name = document.pop("schema").removeprefix("leafmirror.").removesuffix("/1")
        named = re.sub(r"\(each .*?\)|: .*", "", rows[name])
        assert set(document) == set(re.findall(r"`(\w+)`", named)), name


def test_version() -> None:
    assert run("--version").out == f"leafmirror {version('leafmirror')}\n"


def test_nothing_is_help() -> None:
    assert "Usage:" in run().out + run().err


@pytest.mark.parametrize(
    "shell", ["bash", pytest.param("zsh", marks=pytest.mark.slow), pytest.param("fish", marks=pytest.mark.slow)]
)
def test_completion(shell: str) -> None:
    script = run_process("--show-completion", shell, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert script.code == 0
    assert "leafmirror" in script.out
    request = {
        "COMP_WORDS": "leafmirror checkpoint ",
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_ARGS": "leafmirror checkpoint ",
    }
    answer = run_process(
        env=request | {"_LEAFMIRROR_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    )
    assert "create" in answer.out


def test_the_module_runs() -> None:
    done = subprocess.run([sys.executable, "-m", "leafmirror", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith("leafmirror ")


def test_a_bug_is_one_line_and_a_traceback_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if an error of ours reaches the user raw, or if it can no longer be looked into."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("sidecar.cli.doctor.examine", broken)
    done = run("doctor", "--json")
    assert (done.code, done.error) == (1, "InternalError")
    assert "ZeroDivisionError" in done.err
    monkeypatch.setenv("LEAFMIRROR_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        run("doctor")
