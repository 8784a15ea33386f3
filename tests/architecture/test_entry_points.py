"""Each built-in module with hooks has one entry point, and each entry point such a module."""

import ast
from collections import Counter
from importlib.metadata import entry_points

from source_tree import ROOT, ZOO, Module, modules

from skinzoo.files import read_toml
from skinzoo.plugins import GROUP

DECLARED = read_toml(ROOT / "pyproject.toml")["project"]["entry-points"][GROUP]


def implements_hooks(module: Module) -> bool:
    return any(
        isinstance(node, ast.FunctionDef) and any("hookimpl" in ast.unparse(d) for d in node.decorator_list)
        for node in module.tree.body
    )


def test_every_module_with_hooks_has_one_entry_point():
    targets = Counter(DECLARED.values())
    with_hooks = [module.name for module in modules(ZOO) if implements_hooks(module)]
    assert {name: targets[name] for name in with_hooks} == dict.fromkeys(with_hooks, 1)


def test_every_entry_point_is_a_module_with_hooks():
    with_hooks = {module.name for module in modules(ZOO) if implements_hooks(module)}
    assert set(DECLARED.values()) <= with_hooks
    assert len(DECLARED) > 30


def test_the_installed_entry_points_are_the_declared_ones():
    installed = {e.name: e.value for e in entry_points(group=GROUP) if e.dist and e.dist.name == "skinzoo"}
    assert installed == DECLARED, "reinstall: pip install -e ."
