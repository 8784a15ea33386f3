"""Writing a new third-party plugin from the templates in `skinzoo/templates/plugin`."""

from __future__ import annotations

import keyword
import re
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from skinzoo import __version__
from skinzoo.errors import PluginError, UsageError
from skinzoo.plugins import GROUP
from skinzoo.registry import Registry
from skinzoo.specs import API_VERSION, BackboneSpec, VariantSpec

TEMPLATES = Path(__file__).parent / "templates" / "plugin"
SUFFIX = ".jinja"
PACKAGE_FOLDER = "package"
PREFIX = "skinzoo-"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TAKEN = ("skinzoo", "skinzoo-zoo")


def write_plugin(name: str, folder: Path, registry: Registry) -> list[Path]:
    """Write a complete, installable plugin.

    Args:
        name: Name of its distribution: lower-case words joined by hyphens, `skinzoo-example`.
        folder: Where the directory `name` is made.
        registry: The registry, whose names the new parts must not repeat.

    Returns:
        The files written, sorted.

    Raises:
        UsageError: A name that cannot be used, a directory that exists, or a folder that does not.
        PluginError: The parts would repeat a name that is registered.
    """
    _check_name(name)
    part = name.removeprefix(PREFIX).replace("-", "_")
    _check_part(part, registry, owner=name)
    target = folder / name
    if target.exists() or target.is_symlink():
        raise UsageError(
            f"The plugin's directory must not exist. Received: '{target}', which does.",
            hint="Choose another name or another --to.",
        )
    if not folder.is_dir():
        raise UsageError(f"`--to` must be an existing directory. Received: '{folder}'.")
    values = {
        "distribution": name,
        "package": name.replace("-", "_"),
        "part": part,
        "skinzoo_version": ".".join(__version__.split(".")[:2]),
        "api_version": API_VERSION,
    }
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder))
    except OSError as error:
        raise UsageError(f"`--to` must be writable. Received: '{folder}' ({error.strerror}).") from error
    try:
        for file, text in _render(values).items():
            path = temporary / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sorted(path for path in target.rglob("*") if path.is_file())


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        suggestion = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        raise UsageError(
            f"`NAME` must be lower-case letters and digits in words joined by '-', and start with a letter. "
            f"Received: '{name}'.",
            hint=f"Try: {suggestion}" if _NAME.fullmatch(suggestion) and not _taken(suggestion) else None,
        )
    taken = _taken(name)
    if taken:
        raise UsageError(f"`NAME` must not be {taken}. Received: '{name}'.")


def _taken(name: str) -> str:
    """Return what a name stands for already; empty where it is free."""
    package = name.replace("-", "_")
    if keyword.iskeyword(package):
        return "a Python keyword"
    if name in _TAKEN or package in sys.stdlib_module_names or _is_other_software(name):
        return "the name of an existing package"
    return ""


def _is_other_software(name: str) -> bool:
    """Tell whether an installed distribution that is no plugin has this name."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return not any(entry_point.group == GROUP for entry_point in found.entry_points)


def _check_part(part: str, registry: Registry, *, owner: str) -> None:
    for kind in (BackboneSpec.kind, VariantSpec.kind):
        for other in registry.parts(kind):
            if other.name == part and other.provider.distribution != owner:
                raise PluginError(
                    f"The plugin's parts would be named '{part}', which {other.provider} registers already.",
                    hint="Choose another name.",
                )


def _render(values: dict[str, object]) -> dict[str, str]:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    files = {}
    for template in environment.list_templates(extensions=[SUFFIX.removeprefix(".")]):
        folder, slash, rest = template.removesuffix(SUFFIX).partition("/")
        file = f"{values['package']}/{rest}" if slash and folder == PACKAGE_FOLDER else folder + slash + rest
        files[file] = environment.get_template(template).render(values)
    return files
