"""Sources by configuration, and a mirror that follows a node without diffs."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.oasis.messages import EMPTY_HASH
from sidecar.config import load_config
from sidecar.errors import ConfigError
from sidecar.sources.file import FileSource
from sidecar.sources.oasis import OasisSource
from sidecar.sources.open import MirrorState, open_source
from sync.mirror import Mirror
from tests.oasis_cases import NAMESPACE
from tests.sidecar.test_oasis import ROUNDS, UNSUPPORTED, Node, tree

MIRROR = f'[mirror]\npath = "mirror"\nscheme = "mkvs"\nkind = "state"\nnamespace = "{NAMESPACE.hex()}"\n'
CHECKPOINT = '[checkpoint]\nstore = "checkpoints"\n'


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror.create(tmp_path / "mirror", scheme="mkvs", kind="state", namespace=NAMESPACE)


async def test_sources_by_kind(tmp_path: Path, mirror: Mirror) -> None:
    kinds = {
        'kind = "oasis"\naddress = "unix:node.sock"': (OasisSource, "unix:node.sock"),
        'path = "logs.ndjson"': (FileSource, "logs.ndjson"),
    }
    for section, (kind, name) in kinds.items():
        file = tmp_path / "sidecar.toml"
        file.write_text(f"{MIRROR}[source]\n{section}\n{CHECKPOINT}")
        source = open_source(load_config(file), mirror)
        assert isinstance(source, kind)
        assert source.name == name
    mirror.close()


@pytest.mark.parametrize("section", ['kind = "oasis"', 'kind = "file"'])
def test_a_source_without_a_place(section: str, tmp_path: Path) -> None:
    file = tmp_path / "sidecar.toml"
    file.write_text(f"{MIRROR}[source]\n{section}\n{CHECKPOINT}")
    with pytest.raises(ConfigError):
        load_config(file)


@pytest.mark.parametrize("node", [Node(1, 3, 4, 6), Node(1, 3, 4, 6, refuse_diff=UNSUPPORTED)], ids=["diffs", "proofs"])
async def test_a_mirror_follows(node: Node, mirror: Mirror) -> None:
    """Every height is folded before it is committed, and is the node's state afterwards."""
    with mirror:
        state = MirrorState(mirror)
        assert state.tree().root_hash == EMPTY_HASH
        async for log in OasisSource(node, NAMESPACE, state).follow(None):
            mirror.apply(log, verify=True)
            expected = ROUNDS[log.height]
            assert dict(mirror.scan()) == expected
            assert state.tree().root_hash == tree(expected).root_hash
        assert mirror.head is not None
        assert mirror.head.height == 6
