"""JAM block-import traces as write logs: the published steps (JSON and binary), and a stream of changes.

A step holds the whole state before and after one block; what differs is the write log of the block's slot. The root
of a height is the posterior one, which only the next block's header attests. Blocks that were rejected change nothing
and give no write log. Forks and gaps are passed on as they are: the mirror refuses a parent root that is not its own.
Source: davxy/jam-test-vectors `traces/`, jam-conformance `fuzz-reports/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flatdb import WriteLog
from proofs import MalformedProofError, ProofError, get_scheme, leaf_items, state_root
from proofs.ce129 import take_state
from proofs.schemes.jam import KEY_BYTES
from sidecar.errors import InvalidImportError
from sidecar.importers.json_input import parse_bytes, parse_document, parse_number, parse_object
from sidecar.jam.header import TINY, ChainSpec, Header, decode_header

__all__ = ["State", "Step", "convert_changes", "convert_files", "genesis_write_log", "parse_step", "parse_step_json"]

_ROOT_BYTES = 32
_SLOT_BITS = 32
_JAM = get_scheme("jam")


@dataclass(frozen=True, slots=True)
class State:
    """A whole state and the root that it was published with: checked, they belong together."""

    root: bytes
    leaves: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Step:
    """One imported block: the states around it, its slot, and the binary form's header and block."""

    before: State
    after: State
    slot: int
    header: Header | None = None
    block: bytes = b""

    @property
    def is_rejected(self) -> bool:
        """Whether the block changed nothing, because it was not accepted."""
        return self.before.root == self.after.root

    def write_log(self) -> WriteLog:
        """What the block did."""
        old, new = self.before.leaves, self.after.leaves
        changed: list[tuple[bytes, bytes | None]] = [(key, new[key]) for key in new if old.get(key) != new[key]]
        changed += ((key, None) for key in old.keys() - new.keys())
        return WriteLog(
            height=self.slot, parent_root=self.before.root, root=self.after.root, writes=tuple(sorted(changed))
        )


def genesis_write_log(state: State, height: int = 0) -> WriteLog:
    """A whole state as the first write log of a mirror."""
    return WriteLog(height=height, root=state.root, writes=tuple(sorted(state.leaves.items())))


def parse_step(where: str, data: bytes, *, spec: ChainSpec = TINY) -> Step:
    """A step in its binary form: state, block, state; `where` names it in errors.

    The block's extrinsic is not read: the state behind it is the one suffix that decodes as a state with its root.

    Raises:
        InvalidImportError
    """
    try:
        leaves, at = take_state(data, _ROOT_BYTES)
        header, behind = decode_header(data, at, spec=spec)
    except ProofError as error:
        raise InvalidImportError(where, str(error)) from error
    before = _checked(where, State(data[:_ROOT_BYTES], leaves))
    for start in range(behind, len(data) - _ROOT_BYTES):
        after = _state_at_end(data, start)
        if after is not None:
            return Step(before, after, header.slot, header, data[at:start])
    raise InvalidImportError(where, "no state follows the block")


def parse_step_json(where: str, data: bytes) -> Step:
    """A step in its JSON form.

    Raises:
        InvalidImportError
    """
    step = parse_object(where, parse_document(data))
    block = parse_object(f"{where}.block", step.get("block"))
    header = parse_object(f"{where}.block.header", block.get("header"))
    slot = parse_number(f"{where}.block.header.slot", header.get("slot"), bits_max=_SLOT_BITS)
    states = [_json_state(f"{where}.{name}", step.get(name)) for name in ("pre_state", "post_state")]
    return Step(states[0], states[1], slot)


def convert_changes(data: bytes) -> Iterator[WriteLog]:
    """The write logs of a change stream: a JSON object with `base_states` (whole) and `steps` (what changed).

    The first write log is the state before the first step, one height below it.

    Raises:
        InvalidImportError
    """
    document = parse_object("document", parse_document(data))
    steps = document.get("steps")
    bases = document.get("base_states")
    if not isinstance(steps, list) or not isinstance(bases, list) or not steps or not bases:
        raise InvalidImportError("document", "expected base_states and steps, neither empty")
    first = parse_object("steps[0]", steps[0])
    slot = parse_number("steps[0].slot", first.get("slot"), bits_max=_SLOT_BITS)
    base = parse_object("base_states[0]", bases[0])
    leaves = _hex_leaves("base_states[0].keyvals", base.get("keyvals"))
    root = parse_bytes("base_states[0].root", base.get("root"), size=_ROOT_BYTES)
    yield genesis_write_log(_checked("base_states[0]", State(root, leaves)), max(slot - 1, 0))
    for index, step in enumerate(steps):
        write_log = _change(f"steps[{index}]", parse_object(f"steps[{index}]", step))
        if write_log.root != write_log.parent_root:
            yield write_log


def convert_files(files: Iterable[tuple[str, bytes]]) -> Iterator[WriteLog]:
    """Write logs of (name, content) of steps, binary or JSON, in the order given, or of change streams.

    The state before the first step comes first, one height below it; rejected blocks give nothing.

    Raises:
        InvalidImportError
    """
    for index, (name, data) in enumerate(files):
        if not data.lstrip().startswith(b"{"):
            step = parse_step(name, data)
        elif b'"base_states"' in data:
            yield from convert_changes(data)
            continue
        else:
            step = parse_step_json(name, data)
        if not index:
            yield genesis_write_log(step.before, max(step.slot - 1, 0))
        if not step.is_rejected:
            yield step.write_log()


def _change(where: str, step: Mapping[str, object]) -> WriteLog:
    deleted = step.get("delete")
    if not isinstance(deleted, list):
        raise InvalidImportError(f"{where}.delete", "expected a list of keys")
    writes: dict[bytes, bytes | None] = dict(_hex_leaves(f"{where}.set", step.get("set")))
    for key in deleted:
        parsed = parse_bytes(f"{where}.delete", key, size=KEY_BYTES)
        if parsed in writes:
            raise InvalidImportError(f"{where}.delete", f"{parsed.hex()} is set and deleted")
        writes[parsed] = None
    roots = [parse_bytes(f"{where}.{name}", step.get(name), size=_ROOT_BYTES) for name in ("pre_root", "post_root")]
    claimed = step.get("header_parent_state_root")
    if claimed is not None and parse_bytes(f"{where}.header_parent_state_root", claimed) != roots[0]:
        raise InvalidImportError(f"{where}.header_parent_state_root", "the header names another prior state")
    height = parse_number(f"{where}.slot", step.get("slot"), bits_max=_SLOT_BITS)
    return WriteLog(height=height, parent_root=roots[0], root=roots[1], writes=tuple(sorted(writes.items())))


def _hex_leaves(where: str, untrusted: object) -> dict[bytes, bytes]:
    leaves: dict[bytes, bytes] = {}
    for key, value in parse_object(where, untrusted).items():
        parsed = parse_bytes(where, key, size=KEY_BYTES)
        if parsed in leaves:
            raise InvalidImportError(where, f"{parsed.hex()} stands twice, written in two ways")
        leaves[parsed] = parse_bytes(f"{where}.{key[:66]}", value)
    return leaves


def _json_state(where: str, untrusted: object) -> State:
    state = parse_object(where, untrusted)
    pairs = state.get("keyvals")
    if not isinstance(pairs, list):
        raise InvalidImportError(f"{where}.keyvals", "expected a list")
    leaves = {}
    for index, pair in enumerate(pairs):
        name = f"{where}.keyvals[{index}]"
        fields = parse_object(name, pair)
        leaves[parse_bytes(name, fields.get("key"), size=KEY_BYTES)] = parse_bytes(name, fields.get("value"))
    if len(leaves) < len(pairs):
        raise InvalidImportError(f"{where}.keyvals", "a key stands twice")
    return _checked(where, State(parse_bytes(f"{where}.state_root", state.get("state_root"), size=_ROOT_BYTES), leaves))


def _checked(where: str, state: State) -> State:
    computed = state_root(_JAM, leaf_items(sorted(state.leaves.items())))
    if computed != state.root:
        raise InvalidImportError(where, f"folds to {computed.hex()}, not to its root {state.root.hex()}")
    return state


def _state_at_end(data: bytes, start: int) -> State | None:
    """The state that fills `data` from `start` to its end, or None: nothing else folds to the root before it.

    A state is never empty; 33 zero bytes inside a value would look like one.
    """
    try:
        leaves, end = take_state(data, start + _ROOT_BYTES)
        if end != len(data) or not leaves:
            return None
        return _checked("post_state", State(data[start : start + _ROOT_BYTES], leaves))
    except (MalformedProofError, InvalidImportError):
        return None
