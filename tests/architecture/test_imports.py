"""Imports run one way, the core names no built-in part, and one module prints."""

import ast
import re

import pytest
from source_tree import CORE, EXAMPLE, ZOO, Module, docstrings, imports, modules

from skinzoo.registry import registry

# Low to high: a module imports from its own layer and from lower ones. A new module gets a place here.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset(
        {
            "specs",
            "errors",
            "vocabulary",
            "extras",
            "addresses",
            "home",
            "files",
            "machine",
            "ordered",
            "pages",
            "quiet",
            "v1",
        }
    ),
    frozenset({"registry", "config", "settings", "plugins", "hookspecs", "variants", "published"}),
    frozenset({"model", "data"}),
    frozenset({"training", "evaluation", "profile", "explain", "export", "serving", "client", "runs"}),
    # What spreads the work of the level below over processes and machines.
    frozenset({"scale"}),
    frozenset({"cli"}),
)
# Modules beside the layers, each with all that it may import.
BESIDE: dict[str, frozenset[str]] = {
    # The Python API, which imports lazily.
    "__init__": frozenset({"hookspecs", "registry", "model", "runs", "quiet"}),
    "__main__": frozenset({"cli"}),
    # What plugin authors import: it must never reach a layer that imports plugins.
    "api": frozenset({"specs", "errors", "extras", "hookspecs", "vocabulary", "applications"}),
    "applications": frozenset({"specs"}),
    # Services behind commands of the same name, below `cli`.
    "catalogue": LAYERS[0] | LAYERS[1],
    "doctor": LAYERS[0] | LAYERS[1] | LAYERS[2] | LAYERS[3],
    "scaffold": LAYERS[0] | LAYERS[1],
    "demo": LAYERS[0] | LAYERS[1] | LAYERS[2] | LAYERS[3],
    # The contract kit, which builds parts and trains them.
    "testing": LAYERS[0] | LAYERS[1] | LAYERS[2] | LAYERS[3],
}
TENSORFLOW = ("tensorflow", "keras")
PARTS_OF_MODELS = ("backbone", "attention", "fusion", "loss", "variant")
# Names of parts that are words of their own in the core, with the reason.
ORDINARY_WORDS = {
    "none": "English, and what `--weights none` means",
    "image_only": "a signature of every export",
}
# Single uses that are no reference to the part: (module, name) to reason.
ORDINARY_USES = {
    ("skinzoo/cli/list_.py", "mobilenet"): "the help text's example of a pattern, 'mobilenet*'",
}

# Modules of plugins that no hook runs, with the reason why they may use more than the API when called.
MAINTAINERS_SCRIPTS = {"plugins/skinzoo_zoo/counts.py": "builds every variant and writes counts.json"}

CORE_MODULES = modules(CORE)
PLUGIN_MODULES = modules(ZOO) + modules(EXAMPLE)


def part(dotted: str) -> str | None:
    """Return the part of the core that a dotted name belongs to; None for other packages."""
    names = dotted.split(".")
    if names[0] != "skinzoo":
        return None
    if len(names) > 1 and ((CORE / names[1]).is_dir() or (CORE / f"{names[1]}.py").is_file()):
        return names[1]
    return "__init__"


def part_of(module: Module) -> str:
    return module.name.split(".")[1] if "." in module.name else "__init__"


def level(name: str) -> int | None:
    return next((i for i, layer in enumerate(LAYERS) if name in layer), None)


def allowed(importer: str, imported: str) -> bool:
    if importer == imported:
        return True
    if importer in BESIDE:
        return imported in BESIDE[importer] or imported == "__init__"
    ours, theirs = level(importer), level(imported)
    if imported == "__init__":
        return True  # For the version only: `test_the_package_itself_imports_only_the_hook_marker`.
    if theirs is None:
        return imported not in ("api", "testing") and ours == len(LAYERS) - 1
    return ours is not None and theirs <= ours


@pytest.mark.parametrize("name", sorted({part_of(module) for module in CORE_MODULES}))
def test_every_module_has_a_place(name):
    assert (level(name) is not None) != (name in BESIDE), (
        f"skinzoo.{name} must stand in LAYERS or in BESIDE, in one of them"
    )


@pytest.mark.parametrize("module", CORE_MODULES, ids=str)
def test_imports_run_one_way(module):
    wrong = [
        f"line {found.line}: {found.name}"
        for found in imports(module)
        if part(found.name) is not None and not allowed(part_of(module), part(found.name))
    ]
    assert not wrong, f"{module} may not import {'; '.join(wrong)}"


def test_parts_of_the_core_do_not_import_each_other_in_circles():
    graph: dict[str, set[str]] = {}
    for module in CORE_MODULES:
        for found in imports(module):
            target = part(found.name)
            if target not in (None, "__init__", part_of(module)):
                graph.setdefault(part_of(module), set()).add(target)
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, (*path, name))
            done.add(name)

    for name in sorted(graph.keys() - {"__init__"}):
        visit(name, ())


def test_the_package_itself_imports_only_the_hook_marker():
    module = next(module for module in CORE_MODULES if module.name == "skinzoo")
    now = {found.name for found in imports(module) if not found.deferred}
    assert {name for name in now if part(name)} == {"skinzoo.hookspecs.hookimpl"}


@pytest.mark.parametrize("module", CORE_MODULES, ids=str)
def test_the_core_imports_no_plugin(module):
    assert not [
        found.name
        for found in imports(module)
        if found.name.split(".")[0] in ("skinzoo_zoo", "skinzoo_example")
    ]


@pytest.mark.parametrize(
    "module",
    [m for m in CORE_MODULES if part_of(m) not in ("model", "training", "explain", "export", "serving")],
    ids=str,
)
def test_keras_is_imported_at_module_level_by_model_code_only(module):
    now = [f for f in imports(module) if not f.deferred and f.name.split(".")[0] in TENSORFLOW]
    assert not now, f"{module} imports {now[0].name} at line {now[0].line}: move it into the function"


@pytest.mark.parametrize("module", [m for m in CORE_MODULES if part_of(m) == "client"] or [None], ids=str)
def test_the_client_knows_no_model_and_no_tensorflow(module):
    if module is None:
        pytest.skip("skinzoo.client does not exist")
    # Deferred ones are the TensorFlow Serving path, which needs TensorFlow's messages.
    now = [found.name for found in imports(module) if not found.deferred]
    assert not [name for name in now if name.split(".")[0] in TENSORFLOW or part(name) == "model"]
    assert not [found.name for found in imports(module) if part(found.name) == "model"]


@pytest.mark.parametrize("module", CORE_MODULES + PLUGIN_MODULES, ids=str)
def test_click_is_never_imported(module):
    assert not [found.line for found in imports(module) if found.name.split(".")[0] == "click"]


@pytest.mark.parametrize("module", PLUGIN_MODULES, ids=str)
def test_plugins_import_the_api_only(module):
    for found in imports(module):
        names = found.name.split(".")
        if names[0] != "skinzoo":
            continue
        # A reader of a dataset makes the canonical table, and does so when it is called.
        when_called = found.deferred and (names[1] == "data" or str(module) in MAINTAINERS_SCRIPTS)
        assert names[1] == "api" or when_called, f"{module} line {found.line} imports {found.name}"


@pytest.mark.parametrize("module", CORE_MODULES + PLUGIN_MODULES, ids=str)
def test_render_alone_prints(module):
    if module.name == "skinzoo.cli.render":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "typer.echo", "typer.secho"), (
                f"{module} line {node.lineno}: {called}"
            )
            assert not re.fullmatch(r"sys\.(stdout|stderr)\.write", called), f"{module} line {node.lineno}"


def names_of_built_in_parts() -> set[str]:
    found = {
        part.name
        for kind in PARTS_OF_MODELS
        for part in registry().parts(kind)
        if part.provider.distribution == "skinzoo"
    }
    assert len(found) > 30
    return found


def named_parts(module: Module, names: set[str]) -> list[tuple[str, int]]:
    """Return the registered names in a module's identifiers and strings, documentation left out.

    A string names a part where the name stands in it as a word: `"--fusion mlp"` does, `"simple"` does not.
    """
    documentation = docstrings(module.tree)
    found = []
    for node in ast.walk(module.tree):
        words: set[str] = set()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            words = set(re.findall(r"[a-z0-9_]+", node.value.lower()))
        words |= {v for f in ("id", "attr", "name", "arg") if isinstance(v := getattr(node, f, None), str)}
        found += [(word, getattr(node, "lineno", 0)) for word in sorted(words & names)]
    return found


@pytest.mark.parametrize("module", CORE_MODULES, ids=str)
def test_the_core_names_no_backbone_attention_fusion_loss_or_variant(module):
    named = [
        f"line {line}: {name}"
        for name, line in named_parts(module, names_of_built_in_parts() - ORDINARY_WORDS.keys())
        if (str(module), name) not in ORDINARY_USES
    ]
    assert not named, f"{module} names parts that only plugins know: {'; '.join(named)}"


def test_the_list_of_ordinary_words_holds_nothing_that_is_not_needed():
    names = names_of_built_in_parts()
    used = {(str(module), name) for module in CORE_MODULES for name, _ in named_parts(module, names)}
    assert ORDINARY_WORDS.keys() <= {name for _, name in used}
    assert ORDINARY_USES.keys() <= used


def test_a_named_part_is_found():
    source = '''
"""mobilenetv2 in documentation is fine."""
def f(loss="weighted_ce"):
    mobilenetv2 = f"use --fusion film, not simple{loss}"
'''
    tree = ast.parse(source)
    module = Module("skinzoo.example", CORE / "example.py", tree)
    assert {name for name, _ in named_parts(module, names_of_built_in_parts())} == {
        "weighted_ce",
        "film",
        "mobilenetv2",
    }


def test_the_direction_is_really_checked():
    assert not allowed("data", "training")
    assert not allowed("model", "cli")
    assert not allowed("registry", "data")
    assert not allowed("specs", "registry")
    assert not allowed("training", "api")
    assert not allowed("api", "registry")
    assert not allowed("catalogue", "model")
    assert allowed("cli", "training")
    assert allowed("cli", "catalogue")
    assert allowed("training", "data")
    assert allowed("data", "registry")
