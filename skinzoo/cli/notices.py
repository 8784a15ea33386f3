"""Notices about plugins that a command prints on stderr beside its result."""

from __future__ import annotations

from skinzoo.cli import render
from skinzoo.registry import Registry


def plugin_notices(registry: Registry) -> None:
    """Print one line for each plugin that failed to load and for each name that two plugins register."""
    for plugin in registry.failed:
        render.notice(f"Notice: plugin {plugin.provider} failed to load. See: skinzoo plugins")
    for conflict in registry.conflicts:
        render.notice(f"Notice: {conflict} Neither is usable. See: skinzoo plugins")
