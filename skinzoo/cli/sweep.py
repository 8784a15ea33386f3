"""`skinzoo sweep`: many trainings from one file, compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skinzoo.cli import render
from skinzoo.errors import PartialFailureError, UsageError

if TYPE_CHECKING:
    from skinzoo.scale.outcomes import Outcome
    from skinzoo.scale.progress import Sweep, SweepListener
    from skinzoo.scale.sweep import SweepResult


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep")(sweep)


def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="Variants, settings and seeds to try.")],
    ray: Annotated[
        bool, typer.Option("--ray", help="Run trials at a time through Ray Tune, on all of this machine.")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Through Ray Tune on a running Ray cluster; 'auto' finds it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of runs; $SKINZOO_HOME/runs or ./skinzoo-runs."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the trials; train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train every trial of a file, compare them on their validation part, and write the best setting.

    Each trial is a run. The same command goes on where it was stopped, and trains nothing twice.
    """
    from skinzoo.scale.sweep import carry_out, plan_sweep

    if dry_run and (ray or address):
        raise UsageError("--dry-run must come without --ray and --address.", hint="Leave them out.")
    planned = plan_sweep(file, out)
    if dry_run:
        _print_plan(planned, as_json)
        return
    result = carry_out(planned, ray=ray or address is not None, address=address, listener=_listener())
    if as_json:
        render.json_document(result.to_dict())
    else:
        _print_result(result)
    if result.failed:
        raise PartialFailureError(
            f"Every trial must train. Received: {len(result.failed)} of {len(result.outcomes)} that failed.",
            hint="Trials that failed by their settings are not repeated; to try one again, remove its run.",
        )


def _listener() -> SweepListener:
    from skinzoo.scale.progress import SweepListener

    class Lines(SweepListener):
        def notice(self, text: str) -> None:
            render.notice(text)

        def epoch_ended(self, trial: str, row: Mapping[str, Any]) -> None:
            from skinzoo.cli.progress import describe_epoch

            render.notice(f"{trial}: {describe_epoch(row, False)}")

        def trial_ended(self, outcome: Outcome, settled: int, total: int) -> None:
            score = "" if outcome.score is None else f", {outcome.score:.4f}"
            why = f": {outcome.message}" if outcome.message else ""
            render.notice(f"[{settled}/{total}] {outcome.trial.name}: {outcome.state}{score}{why}")

    return Lines()


def _print_plan(planned: Sweep, as_json: bool) -> None:
    outcomes = planned.outcomes()
    if as_json:
        render.json_document(
            {"name": planned.file.name, "metric": planned.trials.metric}
            | {"trials": [one.to_dict() for one in outcomes]}
        )
        return
    for text in planned.trials.notices:
        render.notice(text)
    _print_trials(outcomes)
    total = render.number_of(len(outcomes), "trial")
    render.line(f"{total}, chosen by {planned.trials.metric}; runs go to {planned.folder}.")


def _print_trials(outcomes: tuple[Outcome, ...]) -> None:
    folds = any(one.trial.fold is not None for one in outcomes)
    recipes = len({one.trial.config.recipe for one in outcomes}) > 1
    columns = ["run", *(["recipe"] if recipes else []), *(["fold"] if folds else [])]
    columns += ["seed", "settings", "state", "epochs", "score"]
    rows = [
        [
            one.trial.name,
            *([one.trial.config.recipe] if recipes else []),
            *([render.value_text(one.trial.fold)] if folds else []),
            str(one.trial.seed),
            _settings(one.trial.chosen),
            one.state,
            str(one.epochs),
            "-" if one.score is None else f"{one.score:.4f}",
        ]
        for one in outcomes
    ]
    render.table(columns, rows, right=["fold", "seed", "epochs", "score"])


def _settings(chosen: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}={render.value_text(value)}" for name, value in chosen.items()) or "-"


def _print_result(result: SweepResult) -> None:
    from skinzoo.cli.compare import print_comparison

    if result.comparison is not None:
        print_comparison(result.comparison)
    metric = result.sweep.trials.metric
    render.heading(f"Settings by {metric}, the mean over folds and seeds")
    several = len({one.trial.config.recipe for one in result.settings}) > 1
    render.table(
        ["#", "variant", *(["recipe"] if several else []), "settings", "mean", "spread", "finished"],
        [
            [
                str(place),
                one.trial.config.model.variant,
                *([one.trial.config.recipe] if several else []),
                _settings(one.trial.chosen),
                "-" if one.mean is None else f"{one.mean:.4f}",
                "-" if one.spread is None else f"{one.spread:.4f}",
                f"{len(one.scores)} of {one.trials}",
            ]
            for place, one in enumerate(result.settings, start=1)
        ],
        right=["#", "mean", "spread", "finished"],
    )
    for outcome in result.outcomes:
        if outcome.state != "finished":
            why = f": {outcome.message}" if outcome.message else f" after epoch {outcome.epochs}"
            render.notice(f"{outcome.trial.name} {outcome.state}{why}")
    render.line(f"Written: {result.sweep.own_folder}")
    if result.best is not None:
        variant = result.settings[0].trial.config.model.variant
        render.line(f"Train the best setting with: skinzoo train {variant} --config {result.best}")
