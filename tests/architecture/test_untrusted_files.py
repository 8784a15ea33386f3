"""What is read from disk may come from a stranger: nothing that is read runs code."""

import ast

import pytest
from source_tree import CORE, EXAMPLE, ZOO, imports, modules

MODULES = [module for package in (CORE, ZOO, EXAMPLE) for module in modules(package)]
# Modules whose readers run what a file says.
RUNS_CODE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
SWITCHES_OFF = {"enable_unsafe_deserialization", "unsafe_load"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_reads_what_runs_code(module):
    for one in imports(module):
        assert one.name.split(".")[0] not in RUNS_CODE, f"{module}:{one.line} imports {one.name}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            assert name not in SWITCHES_OFF, f"{module}:{node.lineno}"
        if isinstance(node, ast.Attribute) and node.attr == "Lambda":
            raise AssertionError(f"{module}:{node.lineno} makes a Lambda layer, which needs unsafe loading")
        if isinstance(node, ast.Call):
            _check_call(module, node)


def _check_call(module, call):
    name = ast.unparse(call.func)
    where = f"{module}:{call.lineno} {name}"
    given = {one.arg: one.value for one in call.keywords}
    if "allow_pickle" in given and name.endswith("load"):
        assert ast.unparse(given["allow_pickle"]) == "False", where
    if "safe_mode" in given or name == "keras.saving.load_model":
        assert ast.unparse(given.get("safe_mode", ast.Constant(None))) == "True", where
    if name in ("yaml.load", "eval", "exec"):
        raise AssertionError(where)
    if name.startswith("keras.") and name.endswith((".load_model", ".deserialize_keras_object")):
        assert "safe_mode" in given or name.startswith("keras.saving.register"), where
