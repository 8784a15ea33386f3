"""`skinzoo show`: everything about one part, and with `--build` the built model's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from skinzoo import catalogue
from skinzoo.cli import render
from skinzoo.cli.completion import LISTED_KINDS, complete_cut, names_of, one_of_these
from skinzoo.cli.quiet import import_keras
from skinzoo.errors import UsageError
from skinzoo.specs import POOLINGS, AttentionSpec, FusionSpec, VariantSpec
from skinzoo.variants import resolve_variant


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show")(show)


def show(
    name: Annotated[str, typer.Argument(help="Name of a part.", autocompletion=names_of(*LISTED_KINDS))],
    kind: Annotated[
        str | None,
        typer.Option(
            help=f"One of {', '.join(LISTED_KINDS)}; every kind by default.",
            autocompletion=one_of_these(*LISTED_KINDS),
        ),
    ] = None,
    build: Annotated[bool, typer.Option("--build", help="Build the variant and count its weights.")] = False,
    cut: Annotated[
        str | None, typer.Option(help="With --build: cut of the backbone.", autocompletion=complete_cut)
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(help="With --build: attention.", autocompletion=names_of(AttentionSpec.kind)),
    ] = None,
    fusion: Annotated[
        str | None, typer.Option(help="With --build: fusion.", autocompletion=names_of(FusionSpec.kind))
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(
            help=f"With --build: one of {', '.join(POOLINGS)}.", autocompletion=one_of_these(*POOLINGS)
        ),
    ] = None,
    classes: Annotated[int | None, typer.Option(help="With --build: number of classes.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="With --build: none, imagenet or a path of a weights file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show everything about a part, whatever its kind."""
    from skinzoo.config import make_config
    from skinzoo.registry import registry

    changes = {
        "cut": cut,
        "attention": attention,
        "fusion": fusion,
        "pooling": pooling,
        "classes": classes,
        "weights": weights,
    }
    changes = {option: value for option, value in changes.items() if value is not None}
    _check_options(kind, build, changes)
    parts = registry()
    kinds = [VariantSpec.kind] if build else [kind] if kind else list(LISTED_KINDS)
    documents = [catalogue.describe_part(part, parts) for part in parts.find(name, kinds)]
    for document in documents:
        if "recipe" in document.get("resolved", {}):
            document["resolved"]["settings"] = make_config(document["name"], parts=parts).as_dict()
    result: dict[str, Any] = {"parts": documents}
    if build:
        result["built"] = _build(name, changes)
    if as_json:
        render.json_document(result)
        return
    for document in documents:
        _print_part(document, result.get("built"))


def _check_options(kind: str | None, build: bool, changes: Mapping[str, Any]) -> None:
    if changes and not build:
        options = ", ".join(f"--{option}" for option in changes)
        raise UsageError(
            f"{options} must come with --build: they say what is built.", hint="Add --build to the command."
        )
    if build and kind not in (None, VariantSpec.kind):
        raise UsageError(f"--build must be used on a variant. Received: --kind {kind}.")


def _build(name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    choices = {option: value for option, value in changes.items() if option != "weights"}
    resolved = resolve_variant(name, **choices)
    import_keras()
    from skinzoo import model

    built, report = model.build_model(resolved, weights=changes.get("weights", "none"))
    return {
        "options": dict(changes),
        "variant": resolved.describe(),
        **catalogue.plain(model.describe_model(built)),
        "attention_map_spatial": resolved.attention.spatial,
        "weights": catalogue.plain(report),
        "weights_summary": str(report),
    }


def _print_part(document: Mapping[str, Any], built: Mapping[str, Any] | None = None) -> None:
    render.heading(f"{document['name']} ({document['kind']})")
    if built is not None:
        _print_built(built)
        render.line()
        render.heading("as registered, without options")
    pairs = [("title", document["title"])]
    pairs += _source(document["source"])
    pairs += [
        ("parameters of the defaults" if built is not None and row == "parameters" else row, value)
        for row, value in _PAIRS[document["kind"]](document)
    ]
    provider = document["provider"]
    pairs.append(
        ("provider", f"{provider['distribution']} {provider['version']}, plugin {provider['plugin']}")
    )
    pairs += [("note", note) for note in document["notes"]]
    pairs += [("problem", problem) for problem in document["problems"]]
    render.fields(pairs)
    render.line()
    _print_tables(document)


def _source(source: Mapping[str, str] | None) -> list[tuple[str, str]]:
    if source is None:
        return []
    text = f"{source['authors']}: {source['title']}"
    return [("source", f"{text} {source['url']}".rstrip())]


def _variant(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    resolved = part["resolved"]
    pairs = [("backbone", part["backbone"])]
    if "cut" in resolved:
        pairs += [
            ("input", f"{resolved['input_size']} x {resolved['input_size']} pixels"),
            ("preprocessing", resolved["preprocess"]),
            ("cut layer", _cut(resolved["cut"])),
            ("feature map", _shape(resolved["cut"]["feature_map"])),
            ("weights", _weights(resolved["pretrained"])),
            ("licence", resolved["licence"]),
        ]
    spatial = {True: " (spatial map)", False: " (map is not spatial)", None: ""}
    head = [f"Dense {units} ReLU, dropout {part['head']['dropout']:g}" for units in part["head"]["hidden"]]
    pairs += [
        ("attention", part["attention"] + spatial[resolved.get("attention_map_spatial")]),
        ("pooling", part["pooling"]),
        ("fusion", part["fusion"]),
        ("head", ", then ".join([*head, "softmax"])),
        ("recipe", part["recipe"]),
    ]
    if part["parameters"]:
        counts = part["parameters"]
        pairs.append(
            (
                "parameters",
                f"{counts['trainable']:,} trainable, {counts['non_trainable']:,} not, "
                f"{counts['total']:,} in all (7 classes)",
            )
        )
    return pairs


def _backbone(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    published = [
        (part["size_mb"], "{:g} MB"),
        (part["depth"], "depth {}"),
        (part["published_parameters"], "{:,} trainable parameters"),
    ]
    text = ", ".join(form.format(value) for value, form in published if value is not None)
    return [
        ("input", f"{part['input_size']} x {part['input_size']} pixels, at least {part['min_size']}"),
        ("preprocessing", part["preprocess"]),
        ("weights", _weights(part["pretrained"])),
        ("licence", part["licence"]),
        *([("published", text)] if text else []),
        *([("tail", "continues behind the attention module")] if part["tail"] else []),
    ]


def _attention(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    module = "max-pooled and concatenated with the trunk" if part["pooled_concat"] else "used alone"
    return [("map", "spatial" if part["spatial"] else "not spatial"), ("attended features", module)]


def _fusion(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("metadata", "used" if part["uses_metadata"] else "not used")]


def _loss(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("class weights", "taken" if part["weighted"] else "not taken"), *_options(part)]


def _dataset(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = part["facts"]
    published = [
        (facts["images"], "{:,} images"),
        (facts["lesions"], "{:,} lesions"),
    ]
    text = ", ".join(form.format(value) for value, form in published if value is not None)
    return [
        ("classes", ", ".join(part["classes"]) if part["classes"] else "from the data"),
        *([("published", text)] if text else []),
        ("lesion ids", "yes" if part["has_lesions"] else "no"),
        ("official parts", "yes" if part["has_parts"] else "no"),
        ("licence", part["licence"]),
        *_options(part),
    ]


def _recipe(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("not stated", ", ".join(part["not_stated"]))] if part["not_stated"] else []


def _metric(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("better", "higher" if part["higher_is_better"] else "lower")]


_PAIRS = {
    "variant": _variant,
    "backbone": _backbone,
    "attention": _attention,
    "fusion": _fusion,
    "loss": _loss,
    "dataset": _dataset,
    "recipe": _recipe,
    "metric": _metric,
}


def _options(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("option", f"{key} = {render.value_text(value)}") for key, value in part["options"].items()]


def _print_tables(part: Mapping[str, Any]) -> None:
    if part["kind"] == "backbone":
        _print_cuts(part["cuts"])
    if part["kind"] == "dataset":
        _print_dataset(part)
    if part["kind"] == "recipe":
        _print_settings("setting", part["settings"], part["not_stated"])
    if part["kind"] == "variant":
        _print_published(part["published"])
        recipe = part["resolved"].get("recipe")
        if recipe:
            _print_settings(f"recipe {recipe['name']}", recipe["settings"], recipe["not_stated"])


def _print_cuts(cuts: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        [
            cut["name"] + ("\n(default)" if i == 0 else ""),
            _cut(cut).replace(" > ", "\n> "),
            _shape(cut["feature_map"]),
            cut["notes"],
        ]
        for i, cut in enumerate(cuts)
    ]
    render.table(["cut", "layer", "feature map", "notes"], rows, wrap=["layer", "notes"])
    render.line()


def _print_dataset(part: Mapping[str, Any]) -> None:
    counts = part["facts"]["class_counts"]
    if counts:
        render.table(
            ["class", "images"], [[name, f"{count:,}"] for name, count in counts.items()], right=["images"]
        )
        render.line()
    if part["files"]:
        render.table(
            ["file", "address", "checksum"],
            [[file["name"], file["url"], file["checksum"] or "none published"] for file in part["files"]],
        )
        render.line()


def _print_published(published: Sequence[Mapping[str, Any]]) -> None:
    if not published:
        return
    rows = [
        [
            " ".join(filter(None, [result["source"], result["run"]])),
            result["dataset"],
            result["protocol"] + ("*" if result["protocol_warning"] else ""),
            render.value_text(result["cases"]),
            "\n".join(f"{metric} {value:.4g}" for metric, value in result["metrics"].items()),
            result["notes"],
        ]
        for result in published
    ]
    render.table(
        ["published", "dataset", "protocol", "cases", "metrics", "notes"],
        rows,
        right=["cases"],
        wrap=["published", "notes"],
    )
    warnings = {result["protocol"]: result["protocol_warning"] for result in published}
    for protocol, warning in warnings.items():
        if warning:
            render.paragraph(f"* protocol {protocol}, {warning}")
    render.line()


def _print_settings(title: str, settings: Mapping[str, Mapping[str, Any]], ours: Sequence[str]) -> None:
    rows = [
        [f"{section}.{key}", render.value_text(value), "our choice" if f"{section}.{key}" in ours else ""]
        for section, values in settings.items()
        for key, value in values.items()
    ]
    columns = [title, "value", "not stated"] if ours else [title, "value"]
    if rows:
        render.table(columns, [row[: len(columns)] for row in rows], wrap=["value"])
        render.line()


def _print_built(built: Mapping[str, Any]) -> None:
    render.heading("built" + "".join(f" --{key} {value}" for key, value in built["options"].items()))
    flops = built["flops"]
    spatial = "spatial" if built["attention_map_spatial"] else "not spatial"
    chosen = built["variant"]
    render.fields(
        [
            *(
                (choice, str(chosen[choice]))
                for choice in ("cut", "attention", "fusion", "pooling", "classes")
            ),
            ("trainable", f"{built['trainable']:,}"),
            ("non-trainable", f"{built['non_trainable']:,}"),
            ("total", f"{built['total']:,}"),
            ("layers", f"{built['layers']:,}"),
            ("input", f"{built['input_size']} x {built['input_size']} pixels"),
            ("feature map", _shape(built["feature_map"])),
            ("attention map", f"{_shape(built['attention_map'])}, {spatial}"),
            ("weights", built["weights_summary"].removeprefix("weights: ")),
            ("FLOPs of one image", "not known on this Keras backend" if flops is None else f"{flops:,}"),
        ]
    )


def _cut(cut: Mapping[str, Any]) -> str:
    path = " > ".join([cut["anchor"] or "its output", *cut["path"]])
    before = f" (before {' > '.join(cut['leads_to'])})" if cut["leads_to"] else ""
    scale = f", times {cut['scale']:.4g}" if cut["scale"] != 1 else ""
    return f"{path}{before}{scale}"


def _shape(shape: Sequence[int] | None) -> str:
    return " x ".join(map(str, shape)) if shape else "not stated"


def _weights(pretrained: bool) -> str:
    return "none, imagenet or a file" if pretrained else "none or a file"
