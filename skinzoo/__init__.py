"""skinzoo: a plugin-based model zoo for skin-lesion classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skinzoo.hookspecs import hookimpl

if TYPE_CHECKING:
    from skinzoo.model import create_model, load_model
    from skinzoo.registry import list_variants
    from skinzoo.runs import load_run

__version__ = "0.1.0"

__all__ = ["__version__", "create_model", "hookimpl", "list_variants", "load_model", "load_run"]

_LAZY = {
    "create_model": "skinzoo.model",
    "load_model": "skinzoo.model",
    "list_variants": "skinzoo.registry",
    "load_run": "skinzoo.runs",
}


def __getattr__(name: str) -> Any:
    """Import the Python API on first use, so that `import skinzoo` stays light."""
    if name not in _LAZY:
        raise AttributeError(f"module 'skinzoo' has no attribute '{name}'")
    import importlib

    if _LAZY[name] == "skinzoo.model":
        from skinzoo.quiet import import_keras

        import_keras()
    return getattr(importlib.import_module(_LAZY[name]), name)
