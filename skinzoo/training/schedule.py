"""Phases of a training and the learning rate of each step: pure functions of epoch and step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from skinzoo.config import RunConfig
from skinzoo.settings import ScheduleSettings

HEAD, WHOLE = "head", "whole"


@dataclass(frozen=True)
class Phase:
    """Epochs in which the same layers are trained by the same optimiser.

    Args:
        name: `head` (the backbone stays) or `whole`.
        start: First epoch, from 0.
        stop: Epoch to end before.
        learning_rate: Peak learning rate.
        schedule: How it moves.
    """

    name: str
    start: int
    stop: int
    learning_rate: float
    schedule: ScheduleSettings

    def rate(self, epoch: int, step: int, steps: int, factor: float = 1.0) -> float:
        """Return the learning rate of a step.

        Args:
            epoch: Epoch of the whole training, from 0.
            step: Step of the epoch, from 0.
            steps: Steps of an epoch.
            factor: What plateaus have multiplied the rate by.
        """
        done = epoch - self.start + step / steps
        warmup = self.schedule.warmup_epochs
        if done < warmup:
            # The first step must move something, so the rise ends with the last step of the warm-up.
            return self.learning_rate * factor * (done + 1 / steps) / (warmup + 1 / steps)
        return self._after_warmup(done, warmup, epoch - self.start, factor)

    def _after_warmup(self, done: float, warmup: float, epoch: int, factor: float) -> float:
        kind, rate = self.schedule.name, self.learning_rate
        if kind == "cosine":
            share = min((done - warmup) / max(self.stop - self.start - warmup, 1e-9), 1.0)
            low = self.schedule.final_fraction
            return rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * share)))
        if kind == "plateau":
            return max(rate * factor, min(self.schedule.minimum, rate))
        if kind == "steps":
            every = self.schedule.every
            count = max((epoch - (self.schedule.start or every)) // every + 1, 0)
            return max(rate * self.schedule.factor**count, min(self.schedule.minimum, rate))
        return rate


def phases(config: RunConfig, *, pretrained: bool) -> tuple[Phase, ...]:
    """Return the phases of a training.

    Args:
        config: The configuration.
        pretrained: Whether the backbone has weights worth keeping; otherwise all is trained from the start.
    """
    training = config.training
    # However short a training is, its last epoch trains the whole network.
    head = min(training.head_epochs, training.epochs - 1)
    if not pretrained or training.method != "finetune":
        head = 0
    if training.freeze_backbone:
        head = 0
    found = []
    if head:
        found.append(Phase(HEAD, 0, head, training.head_learning_rate, ScheduleSettings(name="constant")))
    if head < training.epochs:
        name = HEAD if training.freeze_backbone else WHOLE
        found.append(Phase(name, head, training.epochs, config.optimizer.learning_rate, config.schedule))
    return tuple(found)
