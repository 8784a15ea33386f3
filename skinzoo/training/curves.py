"""Learning curves as a PNG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skinzoo.files import replacing

PANELS = {
    "loss": ("loss", "val_loss"),
    "scores": ("accuracy", "val_accuracy", "val_balanced_accuracy", "val_macro_f1"),
    "learning rate": ("learning_rate",),
}


def draw_curves(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw loss, scores and learning rate over the epochs.

    Args:
        history: Rows of the history, at least one.
        path: PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [row["epoch"] for row in history]
    for axes, (title, names) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        for name in names:
            axes.plot(epochs, [row[name] for row in history], label=name, marker="o", markersize=3)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.axes[1].set_ylim(0, 1)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
