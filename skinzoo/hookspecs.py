"""The plugin contract: what a plugin may implement. Signatures only ever gain arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from skinzoo.specs import (
    AttentionSpec,
    BackboneSpec,
    DatasetSpec,
    FusionSpec,
    LossSpec,
    MetricSpec,
    RecipeSpec,
    VariantSpec,
)

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    import typer

PROJECT = "skinzoo"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def skinzoo_backbones() -> Sequence[BackboneSpec]:  # type: ignore[empty-body]
    """Return the backbones that this plugin provides."""


@hookspec
def skinzoo_attentions() -> Sequence[AttentionSpec]:  # type: ignore[empty-body]
    """Return the attentions that this plugin provides."""


@hookspec
def skinzoo_fusions() -> Sequence[FusionSpec]:  # type: ignore[empty-body]
    """Return the fusions that this plugin provides."""


@hookspec
def skinzoo_losses() -> Sequence[LossSpec]:  # type: ignore[empty-body]
    """Return the losses that this plugin provides."""


@hookspec
def skinzoo_variants() -> Sequence[VariantSpec]:  # type: ignore[empty-body]
    """Return the variants that this plugin provides; their parts may come from other plugins."""


@hookspec
def skinzoo_datasets() -> Sequence[DatasetSpec]:  # type: ignore[empty-body]
    """Return the datasets that this plugin can read."""


@hookspec
def skinzoo_recipes() -> Sequence[RecipeSpec]:  # type: ignore[empty-body]
    """Return the recipes that this plugin provides."""


@hookspec
def skinzoo_metrics() -> Sequence[MetricSpec]:  # type: ignore[empty-body]
    """Return metrics that reports should carry beside skinzoo's own."""


@hookspec
def skinzoo_callbacks(run: Path) -> Sequence[keras.callbacks.Callback]:  # type: ignore[empty-body]
    """Return Keras callbacks for a training.

    Args:
        run: The run directory.
    """


@hookspec
def skinzoo_commands(app: typer.Typer) -> Any:
    """Add commands to the CLI.

    Args:
        app: The Typer application of `skinzoo`.
    """
