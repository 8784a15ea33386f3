"""Phases of a training and the learning rate of each step: pure functions of epoch and step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from skinzoo.config import RunConfig
from skinzoo.settings import ScheduleSettings, TrainingSettings

HEAD, SMALL, WHOLE = "head", "small", "whole"


@dataclass(frozen=True)
class Phase:
    """Epochs in which the same layers are trained on images of the same size.

    Args:
        name: `head` (the backbone stays), `small` (the whole network on smaller images) or `whole`.
        start: First epoch, from 0.
        stop: Epoch to end before.
        learning_rate: Peak learning rate.
        schedule: How it moves.
        small: Whether images are smaller.
        span: First and behind-last epoch of the schedule and of the optimiser, which `small` and `whole`
            share; the phase's own unless given.
    """

    name: str
    start: int
    stop: int
    learning_rate: float
    schedule: ScheduleSettings
    small: bool = False
    span: tuple[int, int] | None = None

    @property
    def since(self) -> int:
        """First epoch of the schedule and of the optimiser."""
        return self.span[0] if self.span else self.start

    @property
    def until(self) -> int:
        """Epoch before which the schedule ends."""
        return self.span[1] if self.span else self.stop

    def rate(self, epoch: int, step: int, steps: int, factor: float = 1.0) -> float:
        """Return the learning rate of a step.

        Args:
            epoch: Epoch of the whole training, from 0.
            step: Step of the epoch, from 0.
            steps: Steps of an epoch.
            factor: What plateaus have multiplied the rate by.
        """
        done = epoch - self.since + step / steps
        warmup = self.schedule.warmup_epochs
        if done < warmup:
            # The first step must move something, so the rise ends with the last step of the warm-up.
            return self.learning_rate * factor * (done + 1 / steps) / (warmup + 1 / steps)
        return self._after_warmup(done, warmup, epoch - self.since, factor)

    def _after_warmup(self, done: float, warmup: float, epoch: int, factor: float) -> float:
        kind, rate = self.schedule.name, self.learning_rate
        if kind == "cosine":
            share = min((done - warmup) / max(self.until - self.since - warmup, 1e-9), 1.0)
            low = self.schedule.final_fraction
            return rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * share)))
        if kind == "plateau":
            return max(rate * factor, min(self.schedule.minimum, rate))
        if kind == "steps":
            every = self.schedule.every
            count = max((epoch - (self.schedule.start or every)) // every + 1, 0)
            return max(rate * self.schedule.factor**count, min(self.schedule.minimum, rate))
        return rate


def small_epochs(training: TrainingSettings) -> int:
    """Return how many of the first epochs may be on smaller images: half of them at most."""
    return min(training.small_epochs, training.epochs // 2)


def phases(config: RunConfig, *, pretrained: bool, small: bool = False) -> tuple[Phase, ...]:
    """Return the phases of a training.

    Args:
        config: The configuration.
        pretrained: Whether the backbone has weights worth keeping; otherwise all is trained from the start.
        small: Whether there are smaller images for the first `small_epochs`.
    """
    training = config.training
    # However short a training is, its last epoch trains the whole network.
    head = min(training.head_epochs, training.epochs - 1)
    shrunk = small_epochs(training) if small else 0
    if not pretrained or training.method != "finetune":
        head = 0
    if training.freeze_backbone:
        head = 0
    found = []
    if head:
        constant = ScheduleSettings(name="constant")
        rate = training.head_learning_rate
        found.append(Phase(HEAD, 0, head, rate, constant, small=shrunk >= head))
    whole = Phase(
        HEAD if training.freeze_backbone else WHOLE,
        max(head, shrunk),
        training.epochs,
        config.optimizer.learning_rate,
        config.schedule,
        span=(head, training.epochs),
    )
    if shrunk > head:
        name = HEAD if training.freeze_backbone else SMALL
        found.append(replace(whole, name=name, start=head, stop=shrunk, small=True))
    return (*found, whole)
