"""What a person gets wrong at the keyboard: the exit code says usage, and the answer names what was typed."""

import subprocess
import sys
from pathlib import Path

import pytest

from flatdb.writelog_file import save_write_logs
from tests.e2e.cli import make_chain, ok, run, run_process

CHAIN = make_chain(2)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    path = tmp_path / "mirror"
    ok("init", path, "--scheme", "mkvs")
    return path


def test_no_arguments_show_the_help_and_nothing_else() -> None:
    """typer raises an error without words here: fails if they are printed, as `error:` and a hint."""
    for arguments in ((), ("checkpoint",), ("import",)):
        done = run(*arguments)
        assert done.code == 2
        assert "Usage" in done.out
        assert not done.err


def test_an_interrupt_while_the_program_is_still_loading() -> None:
    """Fails if anything that takes time is imported before `main` listens: a traceback, and death by signal."""
    program = """
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name in ("typer", "rich", "aiohttp", "rocksdict"):
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
from sidecar.cli import main
sys.exit(main(["--help"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


def test_a_file_that_is_not_there_is_usage(mirror: Path, tmp_path: Path) -> None:
    """Not a disk that refuses: fails if the cause of DatabaseAccessError is not looked at."""
    for name in ("missing.ndjson", "missing.cbor.zst"):
        done = run("apply", mirror, tmp_path / name, "--json")
        assert (done.code, done.error) == (2, "DatabaseAccessError")
        assert name in done.document["error"]["message"]
        assert "path" in done.document["error"]["hint"]
    (tmp_path / "file").touch()
    ok("apply", mirror, _saved(tmp_path))
    assert run("checkpoint", "create", mirror, "--store", tmp_path / "file").code == 2


def test_a_suffix_that_says_nothing_is_usage(mirror: Path, tmp_path: Path) -> None:
    """Fails if a badly named file is taken for a bad write log."""
    (tmp_path / "blocks.txt").write_text("{}")
    done = run("apply", mirror, tmp_path / "blocks.txt", "--json")
    assert (done.code, done.error) == (2, "UnknownSuffixError")


def test_an_error_names_the_file_and_the_height(mirror: Path, tmp_path: Path) -> None:
    """Of several files, and of many heights in them: fails if either is left out."""
    good, bad = _saved(tmp_path), tmp_path / "bad.ndjson"
    bad.write_text("{}\n")
    assert "bad.ndjson, line 1" in run("apply", mirror, good, bad).err
    other = tmp_path / "other"
    ok("init", other, "--scheme", "ethereum")
    assert f"height {CHAIN[0].height}, writes[0]" in run("apply", other, good).err


def test_an_empty_mirror_has_no_height_to_cut(mirror: Path, tmp_path: Path) -> None:
    """A checkpoint needs a root from outside: fails if the empty root of height 0 is made up for it."""
    store = tmp_path / "store"
    assert run("checkpoint", "create", mirror, "--store", store).code == 2
    assert run("checkpoint", "create", mirror, "--store", store, "--root", "c6" * 32).code == 2
    assert not store.exists()


@pytest.mark.parametrize("command", [("list",), ("show", "latest"), ("verify", "latest"), ("prune", "--keep", 1)])
def test_looking_at_a_store_that_is_not_there(tmp_path: Path, command: tuple[object, ...]) -> None:
    """A mistyped path is no empty store, and is not made: fails if the folder is opened all the same."""
    for url in (tmp_path / "mistyped", f"file://{tmp_path}/mistyped"):
        done = run("checkpoint", *command, "--store", url)
        assert done.code == 2
        assert "mistyped" in done.err
    assert not (tmp_path / "mistyped").exists()


def test_only_oasis_kinds(tmp_path: Path) -> None:
    assert run("init", tmp_path / "a", "--scheme", "mkvs", "--kind", "stat").code == 2
    assert not (tmp_path / "a").exists()
    ok("init", tmp_path / "a", "--scheme", "mkvs", "--kind", "state")


def test_a_scheme_without_kinds(tmp_path: Path) -> None:
    assert run("init", tmp_path / "a", "--scheme", "ethereum", "--kind", "state").code == 2
    assert not (tmp_path / "a").exists()


def test_a_mirror_is_no_store(mirror: Path, tmp_path: Path) -> None:
    """Fails if a checkpoint's files are put among those of a database."""
    ok("apply", mirror, _saved(tmp_path))
    before = set(mirror.iterdir())
    assert run("checkpoint", "create", mirror, "--store", mirror).code == 2
    assert set(mirror.iterdir()) == before


def test_piped_tables_have_no_trailing_blanks(mirror: Path, tmp_path: Path) -> None:
    ok("apply", mirror, _saved(tmp_path))
    ok("checkpoint", "create", mirror, "--store", tmp_path / "store")
    listed = run("checkpoint", "list", "--store", tmp_path / "store").out.splitlines()
    assert len(listed) > 1
    assert not [line for line in listed if line != line.rstrip()]


def test_a_path_that_is_no_text(tmp_path: Path) -> None:
    """Fails if it is taken for damage, or if a directory is left behind."""
    done = run("init", f"{tmp_path}/bad\udcff", "--scheme", "mkvs")
    assert done.code == 2
    assert "UTF-8" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["zz", "abc", "0 0", "0x0", "0x0x00", "é"])
def test_bad_hex_is_told_in_words(mirror: Path, text: str) -> None:
    """Fails if Python's own message comes through, which counts from 0 and speaks of arguments."""
    done = run("get", mirror, text)
    assert done.code == 2
    assert f"{text!r} is not hex" in done.err


def test_help_shows_sections_in_brackets() -> None:
    """Fails if the brackets of a configuration section are read as markup and vanish."""
    assert "[serve]" in run("sidecar", "--help").out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_knows_fewer_characters(tmp_path: Path, encoding: str) -> None:
    """Fails if what cannot be written ends the command: its work was done by then."""
    done = run_process("init", tmp_path / "мир", "--scheme", "mkvs", env={"PYTHONIOENCODING": encoding})
    assert done.code == 0
    assert "\\u043c\\u0438\\u0440" in done.out


def _saved(folder: Path) -> Path:
    path = folder / "good.ndjson"
    save_write_logs(path, CHAIN)
    return path
