"""The repository's own source, read for the tests of its structure: modules and what they import.

Imports are taken from the syntax tree, so that nothing has to run: also those inside functions and behind
conditions. Only imports for type checkers are marked, because they make no cycle at run time.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("proofs", "flatdb", "sync", "sidecar", "leafmirror")


@dataclass(frozen=True)
class Import:
    """One imported name: `target` is the dotted module, or the dotted module and the name taken from it."""

    target: str
    typing_only: bool

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]

    @property
    def is_standard(self) -> bool:
        return self.top in sys.stdlib_module_names or self.top == "_typeshed"

    @property
    def is_ours(self) -> bool:
        return self.top in PACKAGES


@dataclass(frozen=True)
class Module:
    """One source file of a package; `path` is relative to the repository, with slashes."""

    path: str

    @property
    def package(self) -> str:
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        """The dotted name that an import statement gives."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse((ROOT / self.path).read_bytes(), filename=self.path)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(self._imports(self.tree, typing_only=False))

    def _imports(self, node: ast.AST, *, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, typing_only) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = self._absolute(child)
                yield from (Import(f"{base}.{alias.name}", typing_only) for alias in child.names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from self._imports(child, typing_only=True)
            else:
                yield from self._imports(child, typing_only=typing_only)

    def _absolute(self, node: ast.ImportFrom) -> str:
        """Resolve `from .x import y`: one dot is this module's package, each further one a level up."""
        if not node.level:
            return node.module or ""
        package = self.path.rpartition("/")[0].split("/")
        base = package[: len(package) - node.level + 1]
        return ".".join([*base, node.module] if node.module else base)


def read_modules() -> tuple[Module, ...]:
    """Every Python file of the packages, in the order of their paths."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return tuple(Module(path) for path in sorted(path.relative_to(ROOT).as_posix() for path in files))


def resolve(target: str, names: frozenset[str]) -> str | None:
    """The module among `names` that an import of `target` reads: the longest prefix that is one."""
    while target and target not in names:
        target = target.rpartition(".")[0]
    return target or None
