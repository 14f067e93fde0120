"""Configuration: file below variables, nothing unknown, every refusal with its key."""

import tomllib
from pathlib import Path

import pytest

from sidecar.config import load_config, parse_listen, to_toml
from sidecar.errors import ConfigError
from sync.manifest import Cut
from tests.source import ROOT

MINIMAL = """
[mirror]
path = "mirror"
scheme = "mkvs"
[source]
path = "logs.ndjson"
[checkpoint]
store = "store"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sidecar.toml"
    path.write_text(MINIMAL)
    return path


def test_defaults(file: Path) -> None:
    config = load_config(file)
    assert config.serve.listen == "127.0.0.1:8470"
    assert (config.checkpoint.every_heights, config.checkpoint.keep_last) == (1000, 3)
    assert config.mirror.verify_every == 0
    assert config.checkpoint.chunk_leaves == Cut().chunk_leaves


def test_variables_are_stronger_than_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the order of sources is turned round, or if one variable hides the rest of its section."""
    file.write_text(MINIMAL + "keep_last = 2\n[serve]\nlisten = '127.0.0.1:2'\n")
    monkeypatch.setenv("LEAFMIRROR_CHECKPOINT__KEEP_LAST", "9")
    monkeypatch.setenv("LEAFMIRROR_SERVE__LISTEN", "0.0.0.0:1")
    config = load_config(file)
    assert config.checkpoint.keep_last == 9
    assert config.checkpoint.store == Path("store")
    assert config.serve.listen == "0.0.0.0:1"


def test_the_example_holds_every_setting_with_its_default(file: Path) -> None:
    """Fails when a setting is added, renamed or given another default without docs/examples/sidecar.toml."""
    example = load_config(ROOT / "docs/examples/sidecar.toml")
    given = tomllib.loads((ROOT / "docs/examples/sidecar.toml").read_text())
    assert given == tomllib.loads(to_toml(example))
    defaults = load_config(file).model_dump()
    required = {("mirror", "path"), ("mirror", "scheme"), ("source", "path"), ("checkpoint", "store")}
    for section, settings in example.model_dump().items():
        for key, setting in settings.items():
            assert (section, key) in required or setting == defaults[section][key], (section, key)


def test_what_is_printed_reads_back(file: Path, tmp_path: Path) -> None:
    file.write_text(MINIMAL + '[log]\nformat = "json"\n[ready]\ncheckpoint_age_s_max = 1.5\n')
    config = load_config(file)
    printed = tmp_path / "printed.toml"
    printed.write_text(to_toml(config))
    assert load_config(printed) == config


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (MINIMAL + "[serve]\nlissen = 'x:1'\n", "serve.lissen"),
        (MINIMAL + "[extra]\n", "extra"),
        (MINIMAL.replace('scheme = "mkvs"', ""), "mirror.scheme"),
        (MINIMAL.replace("mkvs", "jamm"), "mirror.scheme"),
        (MINIMAL + "[serve]\nlisten = '1.2.3.4'\n", "serve.listen"),
        (MINIMAL + "[serve]\nlisten = 'h:65536'\n", "serve.listen"),
        (MINIMAL.replace('path = "mirror"', 'path = "mirror"\nnamespace = "0xzz"'), "mirror.namespace"),
        (MINIMAL.replace('store = "store"', 'store = "store"\nkeep_last = 0'), "checkpoint.keep_last"),
        (MINIMAL.replace('path = "logs.ndjson"', 'path = "l"\npoll_s = 0'), "source.poll_s"),
        (
            MINIMAL.replace("mkvs", "solana-lattice").replace('store = "store"', 'store = "store"\ncut = "subtree"'),
            "checkpoint.cut",
        ),
    ],
)
def test_refusals_name_the_key(file: Path, text: str, key: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert caught.value.key == key


@pytest.mark.parametrize("variable", ["LEAFMIRROR_SERV__LISTEN", "LEAFMIRROR_SERVE__LISTN"])
def test_unknown_variables_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "127.0.0.1:1")
    with pytest.raises(ConfigError):
        load_config(file)


def test_other_variables_of_ours_are_no_settings(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAFMIRROR_KERNEL", "reference")
    load_config(file)


def test_unreadable_files(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_config(tmp_path / "absent.toml")
    for content in (b"[mirror", b"\xff", b"#" * (2**20 + 1)):
        file.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load_config(file)
        assert caught.value.key == str(file)


@pytest.mark.parametrize(("text", "parsed"), [("h:0", ("h", 0)), ("[::1]:80", ("::1", 80))])
def test_parse_listen(text: str, parsed: tuple[str, int]) -> None:
    assert parse_listen(text) == parsed


@pytest.mark.parametrize("text", ["", ":80", "::1:80", "h:", "h:x", "h:-1", "h"])
def test_parse_listen_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        parse_listen(text)
