"""`skinzoo profile`: what variants cost on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skinzoo.cli import render
from skinzoo.cli.completion import complete_cut, names_of, one_of_these
from skinzoo.errors import ModelError, PartialFailureError, UsageError
from skinzoo.specs import POOLINGS, AttentionSpec, FusionSpec, VariantSpec

if TYPE_CHECKING:
    from skinzoo.profile.record import Profile

_PRECISIONS = ("float32", "bfloat16", "float16", "auto")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("profile")(profile)


def profile(
    variants: Annotated[
        list[str] | None,
        typer.Argument(metavar="VARIANT...", help="Variants.", autocompletion=names_of(VariantSpec.kind)),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every registered variant.")] = False,
    batch: Annotated[int, typer.Option(help="Images in a batch of throughput and training.")] = 32,
    image_size: Annotated[
        int | None,
        typer.Option(help="Height and width of the input in pixels; each variant's own by default."),
    ] = None,
    cut: Annotated[str | None, typer.Option(help="Cut of the backbone.", autocompletion=complete_cut)] = None,
    attention: Annotated[
        str | None, typer.Option(help="Attention.", autocompletion=names_of(AttentionSpec.kind))
    ] = None,
    fusion: Annotated[
        str | None, typer.Option(help="Fusion.", autocompletion=names_of(FusionSpec.kind))
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(POOLINGS)}.", autocompletion=one_of_these(*POOLINGS)),
    ] = None,
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 7,
    training: Annotated[bool, typer.Option(help="Time training steps too.")] = True,
    repeats: Annotated[int, typer.Option(help="Most repeats of each timing.")] = 50,
    seconds: Annotated[
        float, typer.Option(help="Seconds after which a timing is not repeated further.")
    ] = 10.0,
    threads: Annotated[int, typer.Option(help="Threads of TensorFlow; 0 leaves it to it.")] = 0,
    precision: Annotated[
        str,
        typer.Option(help=f"One of {', '.join(_PRECISIONS)}.", autocompletion=one_of_these(*_PRECISIONS)),
    ] = "float32",
    timeout: Annotated[float, typer.Option(help="Seconds after which a variant is given up.")] = 1800.0,
    ratio: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="How many times as much B costs as A.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Keep the rows here, and go on with them; a table lies beside as Markdown.",
        ),
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Measure again what the file of --to holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure size, FLOPs, latency, throughput, training speed and memory of variants on this machine.

    Each variant runs in a process of its own, on synthetic images and with random weights. With --to rows
    are kept as soon as they are measured, and the same command goes on where it was interrupted.
    """
    if bool(variants) == every:
        raise UsageError(
            f"Either VARIANT... or --all must be given. Received: {'both' if every else 'neither'}.",
            hint="See: skinzoo list",
        )
    if to is not None and to.suffix.lower() != ".json":
        raise UsageError(f"--to must end in .json. Received: '{to}'.")
    if anew and to is None:
        raise UsageError("--anew must come with --to FILE.json. Received: --anew alone.")
    given = {
        "image_size": image_size,
        "cut": cut,
        "attention": attention,
        "fusion": fusion,
        "pooling": pooling,
    }
    choices: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    names = _names(variants, choices | {"classes": classes})
    from skinzoo.profile.record import check_ratio, ratios, read_profile
    from skinzoo.profile.request import ProfileSettings
    from skinzoo.profile.service import profile as service
    from skinzoo.profile.tables import ratio_line, render_markdown

    settings = ProfileSettings(
        batch=batch,
        repeats=repeats,
        seconds=seconds,
        training=training,
        timeout=timeout,
        threads=threads,
        precision=precision,
        choices=choices | {"classes": classes},
    )
    if ratio:
        kept = read_profile(to).measured if to is not None and to.exists() and not anew else {}
        check_ratio(*ratio, {*names, *kept})
    found = service(names, settings, to=to, anew=anew, began=_began, measured=_measured)
    ratio_of = ratios(found.rows, *ratio) if ratio else None
    lines = [ratio_line(ratio_of, *ratio)] if ratio and ratio_of is not None else []
    if to is not None:
        from skinzoo.files import write_text

        write_text(to.with_suffix(".md"), render_markdown(found, lines))
    if as_json:
        render.json_document(found.to_dict() | ({"ratio": {"of": ratio, **ratio_of}} if ratio_of else {}))
    else:
        _print(found, lines, to)
    _check_errors(found, names)


def _names(variants: list[str] | None, choices: dict[str, Any]) -> list[str]:
    from skinzoo.registry import registry
    from skinzoo.variants import resolve_variant

    if variants is None or not variants:
        return registry().names(VariantSpec.kind)
    # What can be wrong without Keras is said before anything is measured.
    return list(dict.fromkeys(resolve_variant(name, **choices).name for name in variants))


def _began(name: str, number: int, count: int) -> None:
    render.notice(f"{number}/{count} {name} ...")


def _measured(row: dict[str, Any]) -> None:
    problem = f": {row['error']}" if row["error"] else ""
    render.notice(f"    {row['seconds']:g} s{problem}")


def _print(found: Profile, lines: list[str], to: Path | None) -> None:
    from skinzoo.profile.tables import short_rows

    titles, rows = short_rows(found)
    render.table(titles, rows, right=titles[1:], wrap=titles[:1])
    batch = found.settings.batch
    render.line()
    render.paragraph(
        "px: input; M par.: million parameters; ms: latency of one image, median and 90th percentile; "
        f"img/s, train/s: images a second, batch {batch}; GiB: peak memory. "
        f"Device: {found.device or 'unknown'}, "
        f"{found.environment['processor']}, {found.environment['cores']} cores."
    )
    for line in lines:
        render.paragraph(line)
    loads = [row["load_before"] for row in found.rows if row.get("load_before") is not None]
    if loads and max(loads) > 0.5 * found.environment["cores"]:
        render.notice(
            f"Warning: the machine was busy (load up to {max(loads):g} before a row): its times are too long."
        )
    if to is not None:
        render.line(f"Rows: {to}")
        render.line(f"Table: {to.with_suffix('.md')}")


def _check_errors(found: Profile, names: list[str]) -> None:
    failed = [row for row in found.rows if row["error"] is not None and row["variant"] in names]
    if not failed:
        return
    said = "; ".join(f"{row['variant']} in stage '{row['stage']}', {row['error']}" for row in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    kind = ModelError if len(failed) == len(names) else PartialFailureError
    raise kind(
        f"Every variant must be measured to the end. Received: {len(failed)} of {len(names)} were not: "
        f"{said}{more}."
    )
