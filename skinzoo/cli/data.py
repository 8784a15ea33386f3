"""`skinzoo data`: what is on disk, how honest it is, how it is split, and where to get it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skinzoo.cli import render
from skinzoo.cli.completion import names_of
from skinzoo.errors import UsageError
from skinzoo.specs import DatasetSpec

if TYPE_CHECKING:
    import pandas as pd

    from skinzoo.data.read import Data
    from skinzoo.data.splits import Split

commands = typer.Typer(
    name="data",
    help="Read, audit, split, report on and download datasets.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

DataArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[PATH]",
        help="Folder or file, or the name of a dataset; else SKINZOO_DATA, what `use` set, or the sample.",
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Which dataset it is; recognised unless given.",
        autocompletion=names_of(DatasetSpec.kind),
    ),
]
ReaderOptions = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="Option of the dataset's reader; may be repeated."),
]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out rows that cannot be used, and say so, instead of failing."),
]
SplitOption = Annotated[
    Path | None, typer.Option("--split", metavar="FILE", help="A split that `skinzoo data split` wrote.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands)


@commands.command("list")
def list_datasets(as_json: Json = False) -> None:
    """List the datasets that can be read, and the one in use."""
    from skinzoo.data.describe import describe_datasets

    found = describe_datasets()
    if as_json:
        render.json_document(found)
        return
    render.table(
        ["dataset", "images", "lesions", "download", "title"],
        [
            [
                entry["name"],
                _number(entry["images"]),
                _number(entry["lesions"]),
                "done" if entry["downloaded"] else "yes" if entry["downloadable"] else "-",
                entry["title"],
            ]
            for entry in found["datasets"]
        ],
        right=["images", "lesions"],
        wrap=["title"],
    )
    used = found["in_use"]
    render.line()
    origin = "the default" if used["origin"] == "default" else f"from {used['origin']}"
    render.paragraph(f"In use: {used['path'] or used['dataset']} ({origin})")


@commands.command()
def use(
    path: Annotated[
        str | None,
        typer.Argument(metavar="[PATH]", help="Folder or file, or the name of a dataset."),
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Forget what was set.")] = False,
) -> None:
    """Set the data of later commands."""
    from skinzoo.data.read import find_dataset, forget_data, use_data

    if forget == (path is not None):
        raise UsageError(
            "Either a path or --forget must be given. Received: " + ("both." if path else "neither.")
        )
    if path is None:
        forget_data()
        render.line("Forgotten.")
        return
    found = use_data(path)
    spec = find_dataset(found.path, found.dataset)
    render.line(f"Using {found.path or spec.name} (dataset {spec.name}).")


@commands.command()
def show(
    path: DataArgument = None,
    dataset: DatasetOption = None,
    option: ReaderOptions = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Show what a dataset holds: counts, missing values, differences from its publication."""
    from skinzoo.data.describe import describe_table

    table, _, data = _read(path, dataset, option, skip_bad=skip_bad)
    found = describe_table(table)
    if as_json:
        render.json_document({"path": str(data.path or ""), **found})
        return
    render.fields(
        [
            ("dataset", found["dataset"]),
            ("path", str(data.path or "-")),
            ("images", _number(found["images"])),
            ("lesions", _number(found["lesions"]) if found["lesions"] else "no ids"),
            ("missing", ", ".join(f"{name} {number:,}" for name, number in found["missing"].items())),
            ("parts", ", ".join(f"{name} {number:,}" for name, number in found["parts"].items()) or "-"),
        ]
    )
    render.line()
    render.table(
        ["class", "images", "share", "lesions"],
        [
            [
                name,
                _number(number),
                f"{100 * number / found['images']:.1f}%",
                _number(found["class_lesions"][name]),
            ]
            for name, number in found["class_counts"].items()
        ],
        right=["images", "share", "lesions"],
    )
    _notes(found["notes"])
    _left_out(found["left_out"])


@commands.command()
def audit(
    path: DataArgument = None,
    split: SplitOption = None,
    dataset: DatasetOption = None,
    option: ReaderOptions = None,
    examples: Annotated[int, typer.Option(min=0, help="Examples to print of each finding.")] = 3,
    cache: Annotated[bool, typer.Option(help="Use what is known of unchanged files.")] = True,
    as_json: Json = False,
) -> None:
    """Look for broken files, doubtful rows, duplicates and leaks; ends with 3 where there is an error."""
    from skinzoo.data.audit import audit as run_audit
    from skinzoo.data.splits import Split

    loaded = Split.load(split) if split is not None else None
    table, spec, data = _read(path, dataset, option, skip_bad=True)
    with render.counted("Looking at images") as progress:
        report = run_audit(table, loaded, data.path, spec=spec, progress=progress, cached=cache)
    if as_json:
        render.json_document(report.as_dict())
    else:
        from skinzoo.cli.audit_text import print_audit

        print_audit(report, examples)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


@commands.command()
def report(
    path: DataArgument = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="The HTML file; DATASET-report.html unless given."),
    ] = None,
    split: SplitOption = None,
    dataset: DatasetOption = None,
    option: ReaderOptions = None,
    skip_bad: SkipBad = False,
) -> None:
    """Write one self-contained HTML page about a dataset."""
    from skinzoo.data.report import write_report
    from skinzoo.data.splits import Split

    table, spec, _ = _read(path, dataset, option, skip_bad=skip_bad)
    loaded = Split.load(split) if split is not None else None
    with render.counted("Looking at images") as progress:
        written = write_report(
            table, to or Path(f"{spec.name}-report.html"), split=loaded, spec=spec, progress=progress
        )
    render.line(str(written))


@commands.command("split")
def make_split_file(
    path: DataArgument = None,
    protocol: Annotated[
        str, typer.Option(help="lesion, lesion_kfold, paper, datta, northeastern, official or given.")
    ] = "lesion",
    seed: Annotated[int | None, typer.Option(help="Seed; the protocol's own unless given.")] = None,
    folds: Annotated[
        int | None, typer.Option(help="Protocols lesion and lesion_kfold: number of folds.")
    ] = None,
    test_fold: Annotated[
        int | None, typer.Option(help="Protocols lesion and lesion_kfold: fold that is the test part.")
    ] = None,
    test_size: Annotated[
        float | None, typer.Option(help="Protocols paper, datta and northeastern: share of the test part.")
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(help="Protocols datta, official and given: share of training that validates."),
    ] = None,
    column: Annotated[str | None, typer.Option(help="Protocol given: column with the parts.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Protocol given: CSV file with the columns image_id and part.")
    ] = None,
    merge_duplicates: Annotated[
        bool, typer.Option("--merge-duplicates", help="Keep near-duplicates together across lesions too.")
    ] = False,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The split file.")] = Path("split.json"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that holds another split.")] = False,
    dataset: DatasetOption = None,
    option: ReaderOptions = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Divide a dataset into parts and write the split file."""
    from skinzoo.data.read import leave_out_unreadable
    from skinzoo.data.splits import make_split

    table, _, _ = _read(path, dataset, option, skip_bad=skip_bad)
    if skip_bad:
        # The rows that a training with --skip-bad has, so that the split fits it.
        table = leave_out_unreadable(table)
    options = {
        "folds": folds,
        "fold" if protocol == "lesion_kfold" else "test_fold": test_fold,
        "test_size": test_size,
        "validation": validation,
        "column": column,
        "file": str(file) if file is not None else None,
    }
    made = make_split(
        table,
        protocol,
        seed=seed,
        options={name: value for name, value in options.items() if value is not None},
        merge_duplicates=merge_duplicates,
    )
    _keep_other(to, made, force)
    made.save(to)
    if as_json:
        render.json_document(
            {
                "file": str(to),
                "protocol": made.protocol,
                "seed": made.seed,
                "hash": made.hash,
                "counts": made.counts,
                "dropped": len(made.dropped),
                "aliases": made.aliases,
                "stamps": made.stamps,
                "crossing_lesions": made.crossing,
                "warnings": made.warnings,
                "left_out": table.attrs["left_out"],
            }
        )
    else:
        _print_split(made, to)
        _left_out(table.attrs["left_out"])
        if (table["lesion_id"] != "").any() and not merge_duplicates:
            where = "" if path is None else f"{shlex.quote(path)} "
            render.notice(
                "Pictures of different lesion ids that look alike may lie in different parts. "
                f"See them: skinzoo data audit {where}--split {shlex.quote(str(to))}; "
                "keep them together: --merge-duplicates"
            )


@commands.command()
def download(
    dataset: Annotated[
        str, typer.Argument(help="Name of the dataset.", autocompletion=names_of(DatasetSpec.kind))
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Where to; $SKINZOO_HOME/datasets unless given."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Files to fetch, such as '*.csv'; may be repeated."),
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the licence without being asked.")
    ] = False,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep archives after unpacking them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list files and addresses.")] = False,
) -> None:
    """Download a dataset from its official archive; a broken download continues."""
    from skinzoo.data.download import chosen_files, download_dataset, download_folder
    from skinzoo.registry import registry

    spec = registry().get(DatasetSpec, dataset)
    files = chosen_files(spec, only or ())
    render.heading(spec.title)
    render.fields([("licence", spec.licence), ("to", str(download_folder(spec, to)))])
    render.line()
    for file in files:
        render.line(f"{file.name}{_size(file.size)}{'' if file.checksum else ', no published checksum'}")
        render.line(f"  {file.url}")
    if dry_run:
        return
    accepted = accept_licence or render.confirm("Do you accept the licence?")
    with render.transferred() as progress:
        done = download_dataset(
            spec,
            accept_licence=accepted,
            to=to,
            only=only or (),
            keep_archives=keep_archives,
            progress=progress,
        )
    render.line()
    render.rows(
        [
            [
                fetched.action,
                "checksum verified" if fetched.verified else "no checksum to verify",
                str(fetched.path),
            ]
            for fetched in done.files
        ]
    )
    render.notice(f"Use it with: skinzoo data use {spec.name if to is None else done.folder}")


@commands.command()
def sample(
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="The new folder.")],
    images: Annotated[int, typer.Option(help="Number of images.")] = 420,
    width: Annotated[int, typer.Option(help="Width of the images in pixels.")] = 120,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Write the built-in sample: drawn lesions in the layout of HAM10000."""
    from skinzoo.data.describe import write_sample
    from skinzoo.data.sample import SampleOptions

    write_sample(to, SampleOptions(images=images, width=width, seed=seed))
    render.line(str(to))
    size = f"{width} x {round(width * 3 / 4)} pixels"
    render.notice(f"{images:,} images of {size}. Next: skinzoo data show {shlex.quote(str(to))}")


def _read(
    path: str | None, dataset: str | None, options: list[str] | None, *, skip_bad: bool
) -> tuple[pd.DataFrame, DatasetSpec, Data]:
    from skinzoo.data.read import find_dataset, read_dataset, resolve_data

    data = resolve_data(path, option="PATH")
    if path is None and data.path is None and dataset is not None:
        # A dataset that is named without a path stands for its downloaded copy, or needs none.
        data = resolve_data(dataset, option="PATH")
    name = dataset or data.dataset
    if data.notice:
        render.notice(data.notice)
    table = read_dataset(data.path, name, _reader_options(options or []), skip_bad=skip_bad)
    return table, find_dataset(data.path, name), data


def _reader_options(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise UsageError(f"`--option` must be NAME=VALUE. Received: '{name}{equals}'.")
    return {name: value for name, _, value in pairs}


def _keep_other(to: Path, made: Split, force: bool) -> None:
    from skinzoo.data.splits import Split

    if to.exists() and not force and Split.load(to).hash != made.hash:
        raise UsageError(
            f"`--to` must not name a file with another split. Received: {to}.",
            hint="Name another file, or replace it with --force.",
        )


def _print_split(made: Split, to: Path) -> None:
    render.fields(
        [
            ("protocol", f"{made.protocol}, seed {made.seed}"),
            ("file", str(to)),
            ("hash", made.hash),
            ("stamps", ", ".join(made.stamps) or "none"),
            ("lesions in several parts", _number(made.crossing)),
            *((part, f"the {other} part stands in") for part, other in made.aliases.items()),
        ]
    )
    render.line()
    rows = [
        [part, _number(sum(counts.values())), *map(_number, counts.values())]
        for part, counts in made.counts.items()
    ]
    if made.dropped:
        rows.append(["dropped", _number(len(made.dropped)), *[""] * len(made.classes)])
    render.table(["part", "images", *made.classes], rows, right=["images", *made.classes])
    _notes(made.warnings)


def _notes(sentences: Any) -> None:
    for sentence in sentences:
        render.notice(f"Note: {sentence}")


def _left_out(entries: list[dict[str, str]], shown: int = 3) -> None:
    if not entries:
        return
    what = "1 image or row" if len(entries) == 1 else f"{len(entries):,} images or rows"
    render.notice(f"Left out: {what}.")
    for entry in entries[:shown]:
        render.notice(f"  {entry['image_id'] or entry['path']}: {entry['reason']}")
    if len(entries) > shown:
        render.notice(f"  and {len(entries) - shown:,} more; see: skinzoo data audit --json")


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _size(size: int | None) -> str:
    if size is None:
        return ""
    return f", {size / 1e9:.1f} GB" if size >= 1e8 else f", {size / 1e6:.1f} MB"
