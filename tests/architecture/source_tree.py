"""The project's modules as syntax trees."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "skinzoo"
ZOO = ROOT / "plugins" / "skinzoo_zoo"
EXAMPLE = ROOT / "plugins" / "skinzoo-example" / "skinzoo_example"


@dataclass(frozen=True)
class Module:
    """A source file.

    Args:
        name: Dotted name.
        path: The file.
        tree: Its syntax tree.
    """

    name: str
    path: Path
    tree: ast.Module

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Import:
    """An imported module or name.

    Args:
        name: Dotted name, the imported name included.
        line: Line number.
        deferred: Whether it happens inside a function or for type checkers only.
    """

    name: str
    line: int
    deferred: bool


def modules(package: Path) -> list[Module]:
    """Return every module of a package, templates left out."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path))))
    return found


def imports(module: Module) -> list[Import]:
    """Return what a module imports, wherever the statement stands."""
    return list(_imports(module, module.tree, deferred=False))


def _imports(module: Module, node: ast.AST, *, deferred: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, deferred)
        elif isinstance(child, ast.ImportFrom):
            base = _base(module, child)
            for alias in child.names:
                yield Import(f"{base}.{alias.name}", child.lineno, deferred)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from _imports(module, child, deferred=deferred or inside or typing_only)


def _base(module: Module, statement: ast.ImportFrom) -> str:
    if not statement.level:
        return statement.module or ""
    package = module.name.split(".")
    if module.path.name != "__init__.py":
        package = package[:-1]
    package = package[: len(package) - statement.level + 1]
    return ".".join([*package, statement.module] if statement.module else package)


def docstrings(tree: ast.Module) -> set[int]:
    """Return the ids of the constant nodes that are documentation: strings that stand alone."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
