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
from skinzoo.published import protocol_warning
from skinzoo.specs import VariantSpec


@dataclass(frozen=True)
class Column:
    """A column of a table of parts.

    Args:
        title: Its title.
        cell: Takes a part's document and returns the cell.
        right: Whether it is aligned to the right.
        wrap: Whether it wraps where the terminal is narrow.
    """

    title: str
    cell: Callable[[dict[str, Any]], str]
    right: bool = False
    wrap: bool = False


_PROVIDER = Column("provider", lambda part: part["provider"]["distribution"])
_TITLE = Column("title", lambda part: part["title"], wrap=True)


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
    if kind != VariantSpec.kind:
        name = Column(kind, lambda part: part["name"])
        _print_columns((name, *_KIND_COLUMNS[kind], _PROVIDER), documents)
        return
    wide = _variant_columns(documents, wide=True)
    if _fits(wide, documents):
        _print_columns(wide, documents)
    else:
        _print_columns(_variant_columns(documents, wide=False), documents)
    for mark, protocol in _marks(documents).items():
        warning = protocol_warning(protocol)
        render.paragraph(f"{mark} protocol {protocol}" + (f", {warning}" if warning else ""))


def _fits(columns: Sequence[Column], documents: Sequence[dict[str, Any]]) -> bool:
    titles = [column.title for column in columns]
    return render.natural_width(titles, _cells(columns, documents), gap=1) <= render.width()


def _print_columns(columns: Sequence[Column], documents: Sequence[dict[str, Any]]) -> None:
    render.table(
        [column.title for column in columns],
        _cells(columns, documents),
        right=[column.title for column in columns if column.right],
        wrap=[column.title for column in columns if column.wrap],
    )


def _cells(columns: Sequence[Column], documents: Sequence[dict[str, Any]]) -> list[list[str]]:
    return [[column.cell(document) for column in columns] for document in documents]


def _marks(documents: Sequence[dict[str, Any]]) -> dict[str, str]:
    results = [result for result in map(_headline, documents) if result]
    protocols = dict.fromkeys(result["protocol"] for result in results)
    return {f"[{i}]": protocol for i, protocol in enumerate(protocols, start=1)}


def _variant_columns(documents: Sequence[dict[str, Any]], *, wide: bool) -> tuple[Column, ...]:
    marks = {protocol: mark for mark, protocol in _marks(documents).items()}
    names = (
        (
            Column("variant", lambda part: part["name"]),
            Column("backbone", lambda part: part["backbone"]),
        )
        if wide
        else (Column("variant\n  backbone", _name_over_backbone),)
    )
    count = _exact if wide else _millions

    def published(part: dict[str, Any]) -> str:
        result = _headline(part)
        if result is None:
            return "-"
        protocol = f"{result['protocol']} " if wide else ""
        return f"{result['metrics']['accuracy']:.4g} {protocol}{marks[result['protocol']]}"

    return (
        *names,
        Column("attention", lambda part: part["attention"]),
        Column("fusion", lambda part: part["fusion"]),
        Column("size", lambda part: _text(part["resolved"].get("input_size")), right=True),
        Column("trainable" if wide else "train-\nable", lambda part: count(part, "trainable"), right=True),
        Column("total", lambda part: count(part, "total"), right=True),
        Column("published" if wide else "accuracy\npublished", published),
        _PROVIDER,
    )


def _name_over_backbone(part: dict[str, Any]) -> str:
    if part["backbone"] == part["name"]:
        return str(part["name"])
    return f"{part['name']}\n  {part['backbone']}"


def _headline(part: dict[str, Any]) -> dict[str, Any] | None:
    return next((result for result in part["published"] if "accuracy" in result["metrics"]), None)


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
        Column("cuts", lambda part: "\n".join(cut["name"] for cut in part["cuts"]), wrap=True),
        _field("input", "input_size", right=True),
        _field("preprocess", "preprocess"),
        _field("ImageNet", "pretrained"),
        _field("parameters", "published_parameters", right=True),
    ),
    "attention": (_field("spatial", "spatial"), _field("pooled", "pooled_concat"), _TITLE),
    "fusion": (_field("metadata", "uses_metadata"), _TITLE),
    "loss": (
        _field("weighted", "weighted"),
        Column(
            "options",
            lambda part: ", ".join(f"{key}={value}" for key, value in part["options"].items()) or "-",
            wrap=True,
        ),
    ),
    "dataset": (
        Column("classes", lambda part: str(len(part["classes"])) if part["classes"] else "-", right=True),
        _field("images", "facts", "images", right=True),
        _field("lesions", "facts", "lesions", right=True),
        _field("own parts", "has_parts"),
    ),
    "recipe": (
        Column("source", lambda part: part["source"]["authors"] if part["source"] else "-", wrap=True),
        _TITLE,
    ),
    "metric": (Column("better", lambda part: "higher" if part["higher_is_better"] else "lower"),),
}
