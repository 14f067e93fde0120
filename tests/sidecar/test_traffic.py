"""Generated traffic: its roots are those of an independent trie, and it holds the deletions that it promises."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from trie import HexaryTrie

from flatdb import WriteLog
from proofs import get_scheme, leaf_items, state_root
from proofs.hashing import keccak256
from proofs.schemes.ethereum import EMPTY_CODE, Account
from proofs.schemes.mpt import EMPTY_ROOT
from sidecar.demo.traffic import HEIGHT_COUNT, Chapter, ethereum_chapters, mkvs_chapters


@pytest.fixture(scope="module")
def chapters() -> list[Chapter]:
    owners = sorted(keccak256(b"holder %d" % index) for index in range(200))
    writes = tuple((owner, Account(0, 10**18).slim()) for owner in owners)
    root = state_root(get_scheme("ethereum"), leaf_items(writes))
    return list(ethereum_chapters(WriteLog(height=0, root=root, writes=writes)))


def apply(leaves: dict[bytes, bytes], write_log: WriteLog) -> None:
    """The rules of the chain in a few lines: clears, implied ones included, come before writes."""
    for prefix in write_log.clear:
        for key in [key for key in leaves if key.startswith(prefix)]:
            del leaves[key]
    bare = {key for key, value in write_log.writes if len(key) == 32 and _is_bare(key, value)}
    for key in [key for key in leaves if key[:32] in bare and len(key) == 64]:
        del leaves[key]
    for key, value in write_log.writes:
        if value is None:
            leaves.pop(key, None)
        else:
            leaves[key] = value


def _is_bare(owner: bytes, slim: bytes | None) -> bool:
    return slim is None or Account.from_slim(owner, slim).storage_root == EMPTY_ROOT


def trie_root(leaves: Iterable[tuple[bytes, bytes]]) -> bytes:
    trie = HexaryTrie({})
    for key, value in leaves:
        trie[key] = value
    return trie.root_hash


def test_roots_are_those_of_another_implementation(chapters: list[Chapter]) -> None:
    """Every height's leaves, put into py-trie account by account, give the root that the write log claims."""
    leaves: dict[bytes, bytes] = {}
    for chapter in chapters:
        apply(leaves, chapter.write_log)
        storages: dict[bytes, dict[bytes, bytes]] = {}
        for key, value in leaves.items():
            if len(key) == 64:
                storages.setdefault(key[:32], {})[key[32:]] = value
        accounts = {key: Account.from_slim(key, value) for key, value in leaves.items() if len(key) == 32}
        assert storages.keys() <= accounts.keys()
        if chapter.write_log.height in (0, 2, 7, 11, 14, 17, HEIGHT_COUNT):
            assert all(trie_root(slots.items()) == accounts[owner].storage_root for owner, slots in storages.items())
            full = {key: account.full() for key, account in accounts.items()}
            assert trie_root(full.items()) == chapter.write_log.root, chapter.caption


def test_heights_follow_each_other(chapters: list[Chapter]) -> None:
    assert [chapter.write_log.height for chapter in chapters] == list(range(HEIGHT_COUNT + 1))
    roots = [chapter.write_log.root for chapter in chapters]
    assert [chapter.write_log.parent_root for chapter in chapters[1:]] == roots[:-1]
    assert len(set(roots)) == len(roots)


def test_every_kind_of_deletion_is_there(chapters: list[Chapter]) -> None:
    """Fails if the story loses what makes it worth telling."""
    logs = [chapter.write_log for chapter in chapters]
    assert any(value is None and len(key) == 32 for log in logs for key, value in log.writes), "a destroyed contract"
    assert any(value is None and len(key) == 64 for log in logs for key, value in log.writes), "a zeroed slot"
    recreated = [log for log in logs if log.clear]
    assert any(owner in dict(log.writes) for log in recreated for owner in log.clear), "destroyed and re-created"
    created = {code_hash for log in logs for code_hash, _ in log.code}
    assert created
    assert EMPTY_CODE not in created
    assert all(keccak256(blob) == code_hash for log in logs for code_hash, blob in log.code)


def test_the_same_seed_tells_the_same_story(chapters: list[Chapter]) -> None:
    assert list(ethereum_chapters(chapters[0].write_log)) == chapters
    assert list(ethereum_chapters(chapters[0].write_log, seed=2)) != chapters


def test_mkvs_has_keys_within_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.demo.traffic.MKVS_LEAVES", 600)
    leaves: dict[bytes, bytes] = {}
    for chapter in mkvs_chapters():
        apply_plain(leaves, chapter.write_log)
        assert state_root(get_scheme("mkvs"), leaf_items(sorted(leaves.items()))) == chapter.write_log.root
    keys = sorted(leaves)
    assert any(after.startswith(before) for before, after in pairwise(keys))


def apply_plain(leaves: dict[bytes, bytes], write_log: WriteLog) -> None:
    for key, value in write_log.writes:
        if value is None:
            del leaves[key]
        else:
            leaves[key] = value
