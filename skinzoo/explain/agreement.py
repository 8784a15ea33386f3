"""Whether maps point at the lesion: agreement with lesion masks, over a whole part.

`scoring` says how one map agrees with one mask. Over images, IoU with "one threshold for all" takes the one
with the greatest mean; "each image's best" takes another one for each, which no one can know without the
mask.

Beside the methods stand two maps that have seen nothing: a uniform one, whose share is the lesion's area, and
one that falls off from the image's centre, as dermoscopic images have the lesion in their middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skinzoo.errors import DataError, UsageError
from skinzoo.evaluation.intervals import DRAWS, LEVEL, Interval, draw_weights, percentile_interval
from skinzoo.explain.scoring import THRESHOLDS, UNIFORM, ImageScores, reference_maps, score_map

SHARE, POINTING, IOU, IOU_EACH, GAIN = "share", "pointing", "iou", "iou_each", "gain"
SCORES = {
    SHARE: "share inside the lesion",
    GAIN: "share above the uniform map",
    POINTING: "pointing game",
    IOU: "IoU, one threshold for all",
    IOU_EACH: "IoU, each image's best",
}


@dataclass(frozen=True)
class Score:
    """A mean over images.

    Args:
        value: The mean; None where no image has one.
        interval: Its interval; None where the draws cannot tell.
    """

    value: float | None
    interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"value": self.value, "interval": self.interval.to_dict() if self.interval else None}


@dataclass(frozen=True)
class MethodAgreement:
    """How a method's maps agree with the masks of all images.

    Args:
        scores: By name, those of `SCORES`.
        threshold: The one threshold for all that is best.
        iou: Mean IoU at each of `THRESHOLDS`.
        empty: Images whose map is 0 everywhere: they have no share and do not point, so these means leave
            them out. A Grad-CAM is empty where nothing speaks for the class.
        by_label: Mean share by true class.
    """

    scores: Mapping[str, Score]
    threshold: float
    iou: tuple[float, ...]
    empty: int
    by_label: Mapping[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            **{name: score.to_dict() for name, score in self.scores.items()},
            "threshold": self.threshold,
            "iou_by_threshold": list(self.iou),
            "empty_maps": self.empty,
            "share_by_class": dict(self.by_label),
        }


@dataclass(frozen=True)
class Agreement:
    """Agreement of all methods with the masks.

    Args:
        images: Images with a mask.
        without_mask: Images that were left out as they have none.
        empty_masks: Images that were left out as their mask shows no lesion.
        methods: By name; the two reference maps come last.
        area: Mean share of the image that is lesion.
        unit: What was drawn, `lesion` or `image`.
        units: How many there are.
        draws: Number of draws.
        level: Level of the intervals.
        labels: Number of images of each true class, where classes are known.
    """

    images: int
    without_mask: int
    empty_masks: int
    methods: Mapping[str, MethodAgreement]
    area: float
    unit: str
    units: int
    draws: int
    level: float
    labels: Mapping[str, int]

    def notes(self) -> list[str]:
        """Return sentences on what was left out."""
        found = []
        if self.without_mask:
            found.append(f"Images without a mask, left out of the agreement: {self.without_mask:,}.")
        if self.empty_masks:
            found.append(f"Images whose mask shows no lesion, left out: {self.empty_masks:,}.")
        found += [
            f"Maps of {name} that are 0 everywhere and so point nowhere, left out there: {one.empty:,}."
            for name, one in self.methods.items()
            if one.empty
        ]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "images": self.images,
            "without_mask": self.without_mask,
            "empty_masks": self.empty_masks,
            "mean_lesion_area": self.area,
            "intervals": {
                "method": f"percentile bootstrap over {self.unit}s",
                "unit": self.unit,
                "units": self.units,
                "draws": self.draws,
                "level": self.level,
            },
            "thresholds": THRESHOLDS.round(3).tolist(),
            "images_by_class": dict(self.labels),
            "methods": {name: one.to_dict() for name, one in self.methods.items()},
        }


class AgreementCounter:
    """Collects images one by one and sums up.

    Args:
        draws: Bootstrap draws.
        level: Level of the intervals.
        seed: Seed of the draws.

    Raises:
        UsageError: `draws` is out of range.
    """

    def __init__(self, *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0) -> None:
        if draws < 100:
            raise UsageError(f"`draws` must be at least 100. Received: {draws}.")
        self._draws, self._level, self._seed = draws, level, seed
        self._rows: list[dict[str, ImageScores]] = []
        self._lesions: list[str] = []
        self._labels: list[str] = []
        self._areas: list[float] = []
        self._references: dict[str, np.ndarray] = {}
        self.without_mask = 0
        self.empty_masks = 0

    def add(
        self, maps: Mapping[str, np.ndarray], mask: np.ndarray | None, *, lesion: str, label: str
    ) -> dict[str, ImageScores] | None:
        """Add an image and return its scores; None where it has no mask or an empty one.

        Args:
            maps: `(h, w)` by method.
            mask: bool `(s, s)`, or None.
            lesion: Id of the lesion; empty where unknown.
            label: True class; empty where unknown.
        """
        if mask is None:
            self.without_mask += 1
            return None
        if not mask.any():
            self.empty_masks += 1
            return None
        if not self._references:
            self._references = reference_maps(len(mask))
        found = {name: score_map(map, mask) for name, map in {**maps, **self._references}.items()}
        self._rows.append(found)
        self._lesions.append(lesion)
        self._labels.append(label)
        self._areas.append(float(mask.mean()))
        return found

    def summary(self) -> Agreement:
        """Sum up.

        Raises:
            DataError: No image has a mask.
        """
        if not self._rows:
            raise DataError(
                f"At least one image must have a lesion mask. Received: none for {self.without_mask:,} images"
                + (f", and {self.empty_masks:,} masks that show no lesion." if self.empty_masks else "."),
                hint="A mask is named like its image: IMAGE_ID_segmentation.png or IMAGE_ID.png.",
            )
        by_lesion = all(self._lesions)
        names = self._lesions if by_lesion else [str(i) for i in range(len(self._rows))]
        units = np.unique(names, return_inverse=True)[1]
        weights = np.concatenate(list(draw_weights(units, self._draws, self._seed)))
        known = sorted(set(self._labels) - {""})
        uniform = np.array([row[UNIFORM].share for row in self._rows])
        return Agreement(
            images=len(self._rows),
            without_mask=self.without_mask,
            empty_masks=self.empty_masks,
            methods={
                name: self._method([row[name] for row in self._rows], uniform, weights, known)
                for name in self._rows[0]
            },
            area=float(np.mean(self._areas)),
            unit="lesion" if by_lesion else "image",
            units=int(units.max()) + 1,
            draws=self._draws,
            level=self._level,
            labels={name: self._labels.count(name) for name in known},
        )

    def _method(
        self, rows: Sequence[ImageScores], uniform: np.ndarray, weights: np.ndarray, labels: Sequence[str]
    ) -> MethodAgreement:
        share = np.array([row.share for row in rows])
        iou = np.stack([row.iou for row in rows])
        means = iou.mean(axis=0)
        # The best threshold is chosen anew in every draw, so the interval covers that choice too.
        drawn_iou = (weights @ iou / weights.sum(axis=1, keepdims=True)).max(axis=1)
        values = {
            SHARE: share,
            GAIN: share - uniform,
            POINTING: np.array([row.pointing for row in rows]),
            IOU_EACH: iou.max(axis=1),
        }
        scores = {name: self._score(one, weights) for name, one in values.items()}
        scores[IOU] = Score(float(means.max()), percentile_interval(drawn_iou, self._level))
        own = np.array(self._labels)
        return MethodAgreement(
            scores={name: scores[name] for name in SCORES},
            threshold=round(float(THRESHOLDS[means.argmax()]), 3),
            iou=tuple(means.tolist()),
            empty=int(np.isnan(share).sum()),
            by_label={name: _mean(share[own == name]) for name in labels},
        )

    def _score(self, values: np.ndarray, weights: np.ndarray) -> Score:
        known = ~np.isnan(values)
        counted = weights[:, known]
        totals = counted.sum(axis=1)
        with np.errstate(invalid="ignore"):
            drawn = counted @ values[known] / np.where(totals > 0, totals, np.nan)
        return Score(_mean(values), percentile_interval(drawn, self._level))


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
