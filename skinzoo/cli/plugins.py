"""`skinzoo plugins`: every plugin, where it comes from and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from skinzoo import catalogue
from skinzoo.cli import render
from skinzoo.plugins import BLOCK_VARIABLE, unmatched_names

BUILT_IN = "skinzoo"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plugins")(plugins)


def plugins(
    every: Annotated[bool, typer.Option("--all", help="Show each built-in plugin too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List plugins: what they provide, and what is wrong with those that could not be used.

    Names in SKINZOO_PLUGINS (allow-list) and SKINZOO_DISABLED_PLUGINS (block-list) are those of plugins
    or of distributions, separated by commas. Ends with 0 even where plugins are broken.
    """
    from skinzoo.registry import registry

    parts = registry()
    documents = [catalogue.describe_plugin(plugin) for plugin in parts.plugins]
    conflicts = [catalogue.describe_conflict(conflict) for conflict in parts.conflicts]
    if as_json:
        render.json_document({"plugins": documents, "conflicts": conflicts})
        return
    contested = {
        (provider["plugin"], provider["distribution"])
        for conflict in conflicts
        for provider in conflict["providers"]
    }
    _print_table(
        [
            {**document, "status": f"{document['status']}, conflict"}
            if (document["plugin"], document["distribution"]) in contested
            else document
            for document in documents
        ],
        every,
    )
    for document in documents:
        if document["problem"]:
            render.paragraph(f"{document['plugin']} {document['status']}: {document['problem']}")
    for name in unmatched_names(parts.plugins):
        render.notice(f"Notice: {BLOCK_VARIABLE} names '{name}', which no plugin or distribution here has.")
    for conflict in parts.conflicts:
        render.paragraph(f"conflict: {conflict} Neither is usable until one plugin is disabled.")


def _print_table(documents: Sequence[dict[str, Any]], every: bool) -> None:
    summarised = [
        document
        for document in documents
        if not every and document["distribution"] == BUILT_IN and document["status"] == "loaded"
    ]
    rows = [_row(document) for document in documents if document not in summarised]
    if summarised:
        total = {hook for document in summarised for hook in document["hooks"]}
        row = {
            **summarised[0],
            "plugin": f"({len(summarised)} built-in)",
            "hooks": sorted(total),
            "parts": [name for document in summarised for name in document["parts"]],
        }
        rows.insert(0, _row(row))
    if not rows:
        render.notice("No plugin is installed.")
        return
    render.table(
        ["plugin", "distribution", "version", "status", "parts", "hooks"],
        rows,
        right=["parts"],
        wrap=["hooks"],
    )


def _row(document: dict[str, Any]) -> list[str]:
    hooks = ", ".join(hook.removeprefix("skinzoo_") for hook in document["hooks"])
    return [
        document["plugin"],
        document["distribution"],
        document["version"],
        document["status"],
        str(len(document["parts"])),
        hooks or "-",
    ]
