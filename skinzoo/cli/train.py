"""`skinzoo train`: train a variant, or go on with a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skinzoo.cli import render
from skinzoo.cli.completion import complete_cut, names_of, one_of_these
from skinzoo.cli.progress import duration, training_listener
from skinzoo.cli.quiet import import_keras
from skinzoo.errors import UsageError
from skinzoo.settings import HardwareSettings
from skinzoo.specs import POOLINGS, AttentionSpec, DatasetSpec, FusionSpec, RecipeSpec, VariantSpec

if TYPE_CHECKING:
    from skinzoo.training.plan import Plan
    from skinzoo.training.trainer import TrainingResult

PRECISIONS = next(f for f in dataclasses.fields(HardwareSettings) if f.name == "precision").metadata[
    "choices"
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)


def train(
    variant: Annotated[
        str | None, typer.Argument(help="Name of a variant.", autocompletion=names_of(VariantSpec.kind))
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Path or name of the data; else SKINZOO_DATA, what `data use` set, or the sample."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Which dataset it is; recognised unless given.", autocompletion=names_of(DatasetSpec.kind)
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Name of a recipe; the variant's own by default.", autocompletion=names_of(RecipeSpec.kind)
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML file of settings; goes before the recipe's.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any setting; may be repeated."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="FILE", help="A split that `skinzoo data split` wrote.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="How the cases are divided; lesion by default.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out rows that cannot be used, and say so.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order, augmentation, dropout.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Most epochs.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Cases in a step.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="auto|none|imagenet|PATH", help="Where the backbone's weights come from."),
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
    image_size: Annotated[int | None, typer.Option(help="Height and width of the input in pixels.")] = None,
    precision: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(PRECISIONS)}.", autocompletion=one_of_these(*PRECISIONS)),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of TensorFlow.")] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same result each time on this machine.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share each batch; more than one need skinzoo[ray].")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="A Ray cluster for the workers; else one is started here."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of runs; $SKINZOO_HOME/runs or ./skinzoo-runs."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a run: path, name, prefix or latest.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print settings, size, steps, time and memory; train nothing.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --dry-run: print every setting, not just what is changed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print JSON.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write logs for TensorBoard into the run.")
    ] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Log to MLflow.")] = False,
) -> None:
    """Train a variant; without --data on the built-in sample."""
    options: dict[str, dict[str, Any]] = {
        "data": {"dataset": dataset, "split": split, "protocol": protocol, "skip_bad": skip_bad or None},
        "model": {
            "cut": cut,
            "attention": attention,
            "fusion": fusion,
            "pooling": pooling,
            "image_size": image_size,
            "weights": weights,
        },
        "training": {"seed": seed, "epochs": epochs, "batch_size": batch_size},
        "hardware": {
            "precision": precision,
            "threads": threads,
            "deterministic": deterministic or None,
            "workers": workers,
        },
    }
    given = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in options.items()
    }
    trackers = [kind for kind, wanted in (("tensorboard", tensorboard), ("mlflow", mlflow)) if wanted]
    if as_json and not dry_run:
        raise UsageError("--json must come with --dry-run.", hint="See results with: skinzoo runs --json")
    if verbose and not dry_run:
        raise UsageError("--verbose must come with --dry-run.", hint="Leave it out.")
    if resume is not None:
        others = [
            key
            for key, value in {
                "VARIANT": variant,
                "--data": data,
                "--recipe": recipe,
                "--config": config,
                "--set": assignments,
                "--name": name,
                "--dry-run": dry_run,
                "--tensorboard or --mlflow": trackers,
                **{
                    f"--{key.replace('_', '-')}": value
                    for values in given.values()
                    for key, value in values.items()
                },
            }.items()
            if value
        ]
        if others:
            raise UsageError(
                f"--resume must come alone: a run keeps its settings. Received also: {', '.join(others)}.",
                hint="Leave them out, or train a new run.",
            )
        _resume(resume, out, address)
        return
    if variant is None:
        raise UsageError("VARIANT or --resume RUN must be given.", hint="See: skinzoo list")
    from skinzoo.training.request import TrainRequest, resolve_request

    settings, notices = resolve_request(
        TrainRequest(
            variant=variant,
            recipe=recipe,
            file=config,
            assignments=tuple(assignments or ()),
            data=data,
            options=given,
            name=name,
            trackers=tuple(trackers),
        )
    )
    for notice in notices:
        render.notice(notice)
    import_keras()
    if dry_run:
        from skinzoo.training.plan import make_plan

        _print_plan(make_plan(settings), as_json, verbose)
        return
    service, more = _service(settings.hardware.workers, address)
    with training_listener() as listener:
        result = service.train(settings, folder=out, name=name, trackers=trackers, listener=listener, **more)
    _print_result(result)


def _service(workers: int, address: str | None) -> tuple[Any, dict[str, Any]]:
    """Return the service that trains on so many workers, and what it takes beyond the other's arguments."""
    if workers > 1:
        from skinzoo.scale import training

        return training, {"address": address}
    if address is not None:
        raise UsageError(
            f"--address must come with a training on several workers. Received: '{address}'.",
            hint="Add --workers 2 or more, or leave it out.",
        )
    from skinzoo.training import trainer

    return trainer, {}


def _resume(run: str, folder: Path | None, address: str | None) -> None:
    from skinzoo.training.request import resolve_resume

    found = resolve_resume(run, folder)
    import_keras()
    service, more = _service(found.config().hardware.workers, address)
    with training_listener() as listener:
        result = service.resume(found, listener=listener, **more)
    _print_result(result)


def _print_result(result: TrainingResult) -> None:
    scores = ", ".join(f"{name} {value:.4f}" for name, value in result.scores.items())
    ended = ", ended early" if result.ended_early else ""
    render.fields(
        [
            ("epochs", f"{result.epochs} in {duration(result.seconds)}{ended}"),
            ("best epoch", f"{result.best_epoch}: {scores}"),
        ]
    )
    # Lines of their own, which a narrow terminal does not cut: they are there to be copied.
    render.line(f"Model: {result.run / 'model.keras'}")
    render.line(f"Evaluate it with: skinzoo evaluate {result.run}")


def _print_plan(plan: Plan, as_json: bool, verbose: bool) -> None:
    document = dataclasses.asdict(plan)
    if as_json:
        render.json_document(document)
        return
    for notice in plan.notices:
        render.notice(notice)
    steps = render.number_of(plan.steps, "step")
    if plan.steps_are_estimated:
        steps = f"about {steps} (an estimate)"
    epochs = render.number_of(plan.epochs, "epoch")
    time = f"{plan.seconds_per_step:.3f} s a step, {duration(plan.hours * 3600)} for {epochs}"
    if plan.feature_seconds is not None:
        time += f" and {duration(plan.feature_seconds)} of it to compute features once"
    what = "decoded images" if plan.feature_seconds is None else "decoded images, features"
    stamps = "".join(f", {stamp}" for stamp in plan.split["stamps"])
    render.fields(
        [
            ("recipe", f"{plan.settings['recipe']} (hash {plan.recipe_hash})"),
            (
                "variant",
                ", ".join(f"{key} {render.value_text(value)}" for key, value in plan.variant.items()),
            ),
            ("cases", ", ".join(f"{count:,} {part}" for part, count in plan.parts.items())),
            ("split", f"{plan.split['protocol']} (hash {plan.split['hash'][:12]}){stamps}"),
            ("weights", f"{plan.parameters:,}, {plan.trainable:,} of them trained"),
            ("steps", f"{epochs} of {steps}"),
            ("time", time),
            ("memory", f"{plan.memory_gib:.2f} GiB"),
            ("disk", f"{plan.disk_gib:.2f} GiB for {what} and checkpoints"),
            ("devices", f"{', '.join(plan.devices)}, {plan.precision}"),
        ]
    )
    settings = plan.changes
    if verbose:
        settings = {
            f"{section}.{key}": value
            for section, values in plan.settings.items()
            if isinstance(values, Mapping)
            for key, value in values.items()
        }
    render.line()
    if settings:
        title = "setting" if verbose else f"changed in {plan.settings['recipe']}"
        rows = [[name, render.value_text(value)] for name, value in settings.items()]
        render.table([title, "value"], rows, wrap=["value"])
    if not verbose:
        render.line("All settings: --verbose, or --json")
