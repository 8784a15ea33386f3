"""`skinzoo list`: the parts that plugins provide, one table a kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from skinzoo import catalogue
from skinzoo.cli import render
from skinzoo.cli.completion import LISTED_KINDS, names_of, one_of_these
from skinzoo.cli.notices import plugin_notices
from skinzoo.specs import VariantSpec

FULL_WIDTH = 118


@dataclass(frozen=True)
class Column:
    """A column of a table of parts.

    Args:
        title: Its title.
        cell: Takes a part's document and returns the cell.
        right: Whether it is aligned to the right.
    """

    title: str
    cell: Callable[[dict[str, Any]], str]
    right: bool = False


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list")(list_parts)


def list_parts(
    pattern: Annotated[
        str,
        typer.Argument(
            help="Name, or a pattern such as 'mobilenet*' (quote it).",
            autocompletion=names_of(VariantSpec.kind),
        ),
    ] = "*",
    kind: Annotated[
        str,
        typer.Option(help=f"One of {', '.join(LISTED_KINDS)}.", autocompletion=one_of_these(*LISTED_KINDS)),
    ] = VariantSpec.kind,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List variants, or another kind of part."""
    from skinzoo.registry import registry

    parts = registry()
    chosen = parts.parts(kind) if pattern == "*" else parts.matching(kind, pattern)
    documents = [catalogue.describe_part(part, parts) for part in chosen]
    if as_json:
        render.json_document(documents)
    elif documents:
        _print_table(kind, documents)
    plugin_notices(parts)
    if not documents:
        render.notice(f"No {kind} is registered.")


def _print_table(kind: str, documents: Sequence[dict[str, Any]]) -> None:
    columns = _columns(kind, wide=render.width() >= FULL_WIDTH)
    render.table(
        [column.title for column in columns],
        [[column.cell(document) for column in columns] for document in documents],
        right=[column.title for column in columns if column.right],
    )
    if kind == VariantSpec.kind:
        _print_legend(documents)


def _print_legend(documents: Sequence[dict[str, Any]]) -> None:
    results = [result for result in map(_headline, documents) if result]
    warnings = {result["protocol"]: result["protocol_warning"] for result in results}
    for protocol, warning in sorted(warnings.items()):
        if warning:
            render.paragraph(f"* protocol {protocol}: {warning}.")


def _columns(kind: str, *, wide: bool) -> tuple[Column, ...]:
    name = Column(kind, lambda part: part["name"])
    provider = Column("provider", lambda part: part["provider"]["distribution"])
    title = Column("title", lambda part: part["title"])
    if kind == VariantSpec.kind:
        return _variant_columns(wide)
    return (name, *_KIND_COLUMNS[kind], title, provider)


def _variant_columns(wide: bool) -> tuple[Column, ...]:
    parts = (
        (
            Column("variant", lambda part: part["name"]),
            Column("backbone", lambda part: part["backbone"]),
        )
        if wide
        else (Column("variant\n  backbone", _name_over_backbone),)
    )
    count = _exact if wide else _millions
    return (
        *parts,
        Column("attention", lambda part: part["attention"]),
        Column("fusion", lambda part: part["fusion"]),
        Column(
            "input" if wide else "size", lambda part: _text(part["resolved"].get("input_size")), right=True
        ),
        Column("trainable" if wide else "train-\nable", lambda part: count(part, "trainable"), right=True),
        Column("total", lambda part: count(part, "total"), right=True),
        Column("published", _published),
        Column("provider", lambda part: part["provider"]["distribution"]),
    )


def _name_over_backbone(part: dict[str, Any]) -> str:
    if part["backbone"] == part["name"]:
        return str(part["name"])
    return f"{part['name']}\n  {part['backbone']}"


def _headline(part: dict[str, Any]) -> dict[str, Any] | None:
    return next((result for result in part["published"] if "accuracy" in result["metrics"]), None)


def _published(part: dict[str, Any]) -> str:
    result = _headline(part)
    if result is None:
        return "-"
    mark = "*" if result["protocol_warning"] else ""
    return f"{result['metrics']['accuracy']:.3f} {result['protocol']}{mark}"


def _exact(part: dict[str, Any], which: str) -> str:
    return f"{part['parameters'][which]:,}" if part["parameters"] else "-"


def _millions(part: dict[str, Any], which: str) -> str:
    return f"{part['parameters'][which] / 1e6:.1f}M" if part["parameters"] else "-"


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value)


def _field(title: str, *path: str, right: bool = False) -> Column:
    def cell(part: dict[str, Any]) -> str:
        value: Any = part
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _text(value)

    return Column(title, cell, right)


_KIND_COLUMNS: dict[str, tuple[Column, ...]] = {
    "backbone": (
        Column("cuts", lambda part: "\n".join(cut["name"] for cut in part["cuts"])),
        _field("input", "input_size", right=True),
        _field("preprocess", "preprocess"),
        _field("ImageNet", "pretrained"),
        _field("parameters", "published_parameters", right=True),
    ),
    "attention": (_field("spatial", "spatial"), _field("pooled", "pooled_concat")),
    "fusion": (_field("metadata", "uses_metadata"),),
    "loss": (
        _field("weighted", "weighted"),
        Column(
            "options",
            lambda part: ", ".join(f"{key}={value}" for key, value in part["options"].items()) or "-",
        ),
    ),
    "dataset": (
        Column("classes", lambda part: str(len(part["classes"])) if part["classes"] else "-", right=True),
        _field("images", "facts", "images", right=True),
        _field("lesions", "facts", "lesions", right=True),
        _field("own parts", "has_parts"),
    ),
    "recipe": (Column("source", lambda part: part["source"]["authors"] if part["source"] else "-"),),
    "metric": (Column("better", lambda part: "higher" if part["higher_is_better"] else "lower"),),
}
