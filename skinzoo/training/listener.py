"""What a training tells whoever watches it; services never print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Where a training stands after a step.

    Args:
        epoch: Epoch, from 1.
        epochs: Most epochs.
        step: Steps done in the epoch.
        steps: Steps of an epoch.
        phase: `head` or `whole`.
        images_per_second: Mean since the phase began, tracing left out; None until it is known.
        loss: Mean loss over the epoch so far.
        accuracy: Mean accuracy over the epoch so far.
        seconds_left: Estimate for all epochs left, validation included; None until it is known.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    phase: str
    images_per_second: float | None
    loss: float
    accuracy: float
    seconds_left: float | None


class Listener:
    """Takes what a training has to say; this one is silent."""

    report_seconds: float = 0.5
    """How often steps are reported, at most."""

    def notice(self, text: str) -> None:
        """Take a sentence that the user should read."""

    def began(self, summary: Mapping[str, Any]) -> None:
        """Take what is about to be trained: run, variant, cases, steps, weights, devices."""

    def prepared(self, what: str, done: int, total: int) -> None:
        """Take how far a preparation is, such as the decoding of images."""

    def stepped(self, report: StepReport) -> None:
        """Take the state after some step."""

    def epoch_ended(self, row: Mapping[str, Any], best: bool) -> None:
        """Take an epoch's row of the history."""
