"""Learning curves as a PNG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skinzoo.files import replacing

PANELS: Mapping[str, Mapping[str, str]] = {
    "loss": {"loss": "training loss", "val_loss": "validation cross-entropy"},
    "score": {
        "accuracy": "training accuracy",
        "val_accuracy": "validation accuracy",
        "val_balanced_accuracy": "validation balanced accuracy",
        "val_macro_f1": "validation macro-F1",
    },
    "learning rate at the epoch's end": {"learning_rate": "learning rate"},
}


def draw_curves(history: Sequence[Mapping[str, Any]], path: Path, *, best: int | None = None) -> None:
    """Draw loss, scores and learning rate over the epochs.

    Args:
        history: Rows of the history, at least one.
        path: PNG file to write.
        best: The best epoch, from 1, to be marked.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(13, 4), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [row["epoch"] for row in history]
    for axes, (label, lines) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        for name, title in lines.items():
            axes.plot(epochs, [row[name] for row in history], label=title, marker="o", markersize=3)
        if best is not None:
            axes.axvline(
                best, color="0.4", linestyle="--", linewidth=1, label=f"best epoch, {best}", zorder=0
            )
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.axes[1].set_ylim(0, 1)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
