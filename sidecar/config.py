"""Configuration of the sidecar: one TOML file, overridden by environment variables, judged before anything starts.

All of pydantic is here. A section is a table of the file; the variable of `serve.listen` is
LEAFMIRROR_SERVE__LISTEN. Keys that nobody knows are refused in both, because a misspelt limit is no limit.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from proofs import SCHEMES
from sidecar.errors import ConfigError
from sync.manifest import RANGE, SUBTREE, Cut
from sync.root import parse_hex

__all__ = ["Config", "load_config", "parse_listen", "to_toml"]

ENV_PREFIX = "LEAFMIRROR_"
ENV_DELIMITER = "__"
FILE_BYTES_MAX = 2**20


def parse_listen(text: str) -> tuple[str, int]:
    """(host, port) of `HOST:PORT` or `[IPv6]:PORT`; port 0 lets the system choose.

    Raises:
        ValueError
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("expected HOST:PORT with a port of 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], int(port)
    if ":" in host:
        raise ValueError("an IPv6 address is written [ADDRESS]:PORT")
    return host, int(port)


def _check_listen(text: str) -> str:
    parse_listen(text)
    return text


def _check_namespace(text: str) -> str:
    return parse_hex(text).hex()


def _check_scheme(name: str) -> str:
    if name not in SCHEMES:
        raise ValueError(f"unknown scheme; known: {', '.join(SCHEMES)}")
    return name


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MirrorConfig(_Section):
    """The mirror's directory, and whose state it is. Made at the first start, compared at every other."""

    path: Path
    scheme: Annotated[str, AfterValidator(_check_scheme)]
    kind: str = Field(default="", max_length=32)
    namespace: Annotated[str, AfterValidator(_check_namespace)] = ""
    verify_every: int = Field(default=0, ge=0)
    """Fold the whole state before every N-th height; 0: only when a checkpoint is cut."""


class SourceConfig(_Section):
    """Where finalised write logs come from."""

    kind: Literal["file", "oasis"] = "file"
    path: Path = Path()
    """file: the write-log file."""
    poll_s: float = Field(default=0.2, gt=0, le=60)
    """file: how long to wait at its end before looking again."""
    address: str = ""
    """oasis: the node's socket, as unix:/path/to/internal.sock, or HOST:PORT."""

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.kind == "file" and self.path == Path():
            raise ValueError("a file source needs its path")
        if self.kind == "oasis" and not self.address:
            raise ValueError("an oasis source needs the node's address")
        return self


class CheckpointConfig(_Section):
    """When checkpoints are cut, how, and how many are kept."""

    store: Path
    every_heights: int = Field(default=1000, ge=1)
    keep_last: int = Field(default=3, ge=1)
    cut: Literal["range", "subtree"] = "range"
    chunk_leaves: int = Field(default=Cut().chunk_leaves, ge=1, le=2**20)
    workers: int = Field(default=1, ge=1, le=256)
    gate_timeout_s: float = Field(default=30.0, gt=0)
    """How long to wait for the height under way before a checkpoint is given up."""


class ServeConfig(_Section):
    """The sync endpoint, which also answers health, readiness and metrics."""

    listen: Annotated[str, AfterValidator(_check_listen)] = "127.0.0.1:8470"


class ReadyConfig(_Section):
    """When the sidecar calls itself ready."""

    lag_heights_max: int = Field(default=64, ge=0)
    checkpoint_age_s_max: float = Field(default=0.0, ge=0)
    """Oldest that the newest checkpoint may be; 0: any age, or none yet."""
    free_bytes_min: int = Field(default=2**30, ge=0)
    """Free disk space below which nothing new is started."""


class LogConfig(_Section):
    """`auto`: for people on a terminal, JSON lines elsewhere."""

    format: Literal["auto", "human", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(BaseSettings):
    """The whole configuration; immutable."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        nested_model_default_partial_update=True,
    )

    mirror: MirrorConfig
    source: SourceConfig
    checkpoint: CheckpointConfig
    serve: ServeConfig = ServeConfig()
    ready: ReadyConfig = ReadyConfig()
    log: LogConfig = LogConfig()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables are stronger than the file, which comes in as keyword arguments."""
        return env_settings, init_settings


def load_config(path: Path) -> Config:
    """Read the file and the environment.

    Raises:
        ConfigError: the first thing that is wrong, by its dotted key.
    """
    _check_variables()
    try:
        config = Config(**_read(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or str(path)
        reasons = {"extra_forbidden": "no such setting", "missing": "is missing"}
        raise ConfigError(key, reasons.get(first["type"], first["msg"].removeprefix("Value error, "))) from error
    if config.checkpoint.cut == SUBTREE and not SCHEMES[config.mirror.scheme].capabilities.subtree_cuts:
        raise ConfigError("checkpoint.cut", f"a state of {config.mirror.scheme} has no subtrees; set it to {RANGE}")
    return config


def to_toml(config: Config) -> str:
    """The effective configuration as a file that `load_config` reads back."""
    lines = []
    for name, section in config.model_dump(mode="json").items():
        # A JSON string, number or boolean is spelt alike in TOML.
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items()), ""]
    return "\n".join(lines)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(str(path), f"larger than {FILE_BYTES_MAX} bytes")
    try:
        return tomllib.loads(data.decode())
    except ValueError as error:
        raise ConfigError(str(path), f"not TOML: {error}") from error


def _check_variables() -> None:
    """A variable that looks like a setting and belongs to no section: pydantic would overlook it."""
    for variable in os.environ:
        section, delimiter, _ = variable.removeprefix(ENV_PREFIX).partition(ENV_DELIMITER)
        if variable.startswith(ENV_PREFIX) and delimiter and section.lower() not in Config.model_fields:
            raise ConfigError(variable, "no such setting")
