"""Discovery, isolation and provenance of plugins: a typed face over pluggy.

Every plugin lives in a plugin manager of its own, so that each object is attributed to the plugin that
made it and a broken plugin cannot break another.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from skinzoo import hookspecs
from skinzoo.errors import PluginError, nearest
from skinzoo.specs import API_VERSION, SPEC_TYPES, Spec

if TYPE_CHECKING:
    import keras
    import typer

GROUP = hookspecs.PROJECT
ALLOW_VARIABLE = "SKINZOO_PLUGINS"
BLOCK_VARIABLE = "SKINZOO_DISABLED_PLUGINS"

SPEC_HOOKS: dict[str, type[Spec]] = {
    f"skinzoo_{spec.kind.removesuffix('s')}{'ses' if spec.kind.endswith('s') else 's'}": spec
    for spec in SPEC_TYPES
}
HOOK_NAMES: tuple[str, ...] = tuple(name for name in vars(hookspecs) if name.startswith("skinzoo_"))


@dataclass(frozen=True)
class Provider:
    """Where a part comes from.

    Args:
        plugin: Name of the entry point, or of the object registered by hand.
        distribution: Name of the distribution that declares it.
        version: That distribution's version.
    """

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.plugin})"


@dataclass(frozen=True)
class Plugin:
    """One entry point of the group `skinzoo` and what became of it.

    Args:
        provider: Where it comes from.
        target: What the entry point names, `module` or `module:object`.
        status: `loaded`, `failed` or `disabled`.
        specs: Parts that it provides.
        hooks: Names of the hooks that it implements.
        problem: Why it failed or is disabled.
        error: The exception behind a failure.
    """

    provider: Provider
    target: str
    status: str
    specs: tuple[Spec, ...] = ()
    hooks: tuple[str, ...] = ()
    problem: str = ""
    error: BaseException | None = field(default=None, repr=False, compare=False)
    manager: pluggy.PluginManager | None = field(default=None, repr=False, compare=False)

    def callbacks(self, run: Path) -> list[keras.callbacks.Callback]:
        """Return the plugin's Keras callbacks for a run directory."""
        return [c for result in self._call("skinzoo_callbacks", run=run) for c in result]

    def add_commands(self, app: typer.Typer) -> None:
        """Let the plugin add its commands to the CLI."""
        self._call("skinzoo_commands", app=app)

    def _call(self, hook: str, **arguments: Any) -> list[Any]:
        if self.manager is None or hook not in self.hooks:
            return []
        try:
            results: list[Any] = getattr(self.manager.hook, hook)(**arguments)
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"Plugin {self.provider} failed in its hook `{hook}`: {describe(error)}",
                hint=f"Disable it with {BLOCK_VARIABLE}={self.provider.plugin}",
            ) from error
        return results


def describe(error: BaseException) -> str:
    """Return an exception as one line: its type and its text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@functools.cache
def installed_plugins() -> tuple[Plugin, ...]:
    """Load every installed plugin once, the failed and disabled ones included, sorted by name."""
    return tuple(_load(entry_points(group=GROUP), os.environ))


def reload_plugins() -> tuple[Plugin, ...]:
    """Forget what was loaded and discover plugins anew; for tests and long-lived processes."""
    installed_plugins.cache_clear()
    return installed_plugins()


def plugin_from_object(name: str, plugin: object, *, distribution: str = "", version: str = "") -> Plugin:
    """Make a plugin of a module or object that no entry point declares; for tests.

    Args:
        name: Name to give it.
        plugin: Module or object with hook implementations.
        distribution: Distribution name to attribute its parts to.
        version: Version to attribute its parts to.
    """
    return _register(Provider(name, distribution or name, version or "0"), repr(plugin), plugin)


def _load(found: Iterable[EntryPoint], environment: os._Environ[str] | dict[str, str]) -> Iterator[Plugin]:
    allowed = _names(environment.get(ALLOW_VARIABLE))
    blocked = _names(environment.get(BLOCK_VARIABLE)) or frozenset()
    known: dict[int, tuple[str, str]] = {}
    provided = [(_provider(entry_point, known), entry_point) for entry_point in found]
    provided.sort(key=lambda pair: (pair[0].distribution != GROUP, pair[1].name, pair[1].value))
    for provider, entry_point in provided:
        names = {_canonical(provider.plugin), _canonical(provider.distribution)}
        if names & blocked:
            yield Plugin(provider, entry_point.value, "disabled", problem=f"named in {BLOCK_VARIABLE}")
        elif allowed is not None and provider.distribution != GROUP and not names & allowed:
            yield Plugin(provider, entry_point.value, "disabled", problem=f"not named in {ALLOW_VARIABLE}")
        else:
            try:
                loaded = entry_point.load()
            except (Exception, SystemExit) as error:
                yield _failed(provider, entry_point.value, f"import failed: {describe(error)}", error)
            else:
                yield _register(provider, entry_point.value, loaded)


def _register(provider: Provider, target: str, plugin: object) -> Plugin:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name=provider.plugin)
        hooks = tuple(sorted(caller.name for caller in manager.get_hookcallers(plugin) or ()))
        _refuse_misspelt(hooks)
        manager.check_pending()
        if not hooks:
            raise PluginError("it implements no hook; decorate its functions with skinzoo.api.hookimpl")
        specs = tuple(spec for hook in hooks if hook in SPEC_HOOKS for spec in _call_spec_hook(manager, hook))
    except (Exception, SystemExit) as error:
        problem = error.message if isinstance(error, PluginError) else describe(error)
        return _failed(provider, target, problem, error)
    return Plugin(provider, target, "loaded", specs=specs, hooks=hooks, manager=manager)


def _refuse_misspelt(hooks: Sequence[str]) -> None:
    for hook in hooks:
        if hook not in HOOK_NAMES:
            match = nearest(hook, HOOK_NAMES)
            hint = f" Did you mean '{match}'?" if match else f" Hooks: {', '.join(HOOK_NAMES)}"
            raise PluginError(f"it implements the unknown hook '{hook}'.{hint}")


def _call_spec_hook(manager: pluggy.PluginManager, hook: str) -> Iterator[Spec]:
    expected = SPEC_HOOKS[hook]
    results = getattr(manager.hook, hook)()
    if not results:
        raise PluginError(f"`{hook}` must return a list of {expected.__name__}. Received: None")
    for result in results:
        if isinstance(result, str | bytes | Spec) or not isinstance(result, Iterable):
            raise PluginError(f"`{hook}` must return a list of {expected.__name__}. Received: {result!r}")
        for spec in result:
            if not isinstance(spec, expected):
                raise PluginError(
                    f"`{hook}` must return {expected.__name__} objects. Received: {type(spec).__name__}"
                )
            _check_spec(hook, spec)
            yield spec


def _check_spec(hook: str, spec: Spec) -> None:
    if not isinstance(spec.name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", spec.name):
        raise PluginError(
            f"`{hook}`: names must be lower-case letters, digits, '_', '-' and '.'. Received: '{spec.name}'"
        )
    if spec.api_version > API_VERSION:
        raise PluginError(
            f"`{hook}`: '{spec.name}' was written for contract version {spec.api_version}; this skinzoo has "
            f"{API_VERSION}. Upgrade skinzoo."
        )


def _failed(provider: Provider, target: str, problem: str, error: BaseException) -> Plugin:
    return Plugin(provider, target, "failed", problem=problem, error=error)


def _provider(entry_point: EntryPoint, known: dict[int, tuple[str, str]]) -> Provider:
    distribution = entry_point.dist
    if distribution is None:
        return Provider(entry_point.name, "unknown", "0")
    # Reading a distribution's name parses its whole metadata file, every time: once for all its plugins.
    if id(distribution) not in known:
        known[id(distribution)] = (distribution.name, distribution.version)
    return Provider(entry_point.name, *known[id(distribution)])


def _names(variable: str | None) -> frozenset[str] | None:
    if variable is None:
        return None
    return frozenset(_canonical(name) for name in variable.split(",") if name.strip())


def unmatched_names(plugins: Iterable[Plugin], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the entries of SKINZOO_DISABLED_PLUGINS that name no installed plugin or distribution."""
    known = {
        _canonical(name)
        for plugin in plugins
        for name in (plugin.provider.plugin, plugin.provider.distribution)
    }
    entries = [name.strip() for name in environment.get(BLOCK_VARIABLE, "").split(",") if name.strip()]
    return [name for name in entries if _canonical(name) not in known]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def hook_summary(name: str) -> str:
    """Return the first line of a hook's documentation."""
    return (inspect.getdoc(getattr(hookspecs, name)) or "").partition("\n")[0]
