"""Sanity checks of maps (Adebayo et al. 2018; for skin lesions Young et al. 2019).

A map that explains a model must change when the model's weights become random, and must not change when
nothing did. Weights are made random in a cascade: the output layer first, then every layer below it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from skinzoo.explain.maps import IMAGE, MapMaker, Maps
from skinzoo.explain.similarity import spearman, ssim

BACKBONE_STEPS = 4
"""Steps in which a backbone's layers become random, from its output to its input."""
NOISE = 4.0
"""Standard deviation of the noise on pixels, in grey levels of 255: what compression to JPEG adds."""
DEPENDENT = 0.5
"""Mean rank correlation with the map of the all-random model above which a map is called independent."""


@dataclass(frozen=True)
class Step:
    """Maps of a model that was changed, against those of the model itself.

    Args:
        name: What was changed.
        spearman: Mean rank correlation over the images, by method; None where a map has no ranks.
        ssim: Mean structural similarity over the images, by method.
        probability: Mean probability of the explained classes.
    """

    name: str
    spearman: Mapping[str, float | None]
    ssim: Mapping[str, float]
    probability: float


@dataclass(frozen=True)
class Sanity:
    """What the sanity checks found.

    Args:
        images: Number of images.
        cascade: The model itself, then one step after another of randomised layers.
        behind: Number of the last step before the backbone's: all behind the feature map is then random.
        repeated: Greatest difference between the maps of the same images computed twice, the second time
            one by one, in parts of the greatest value, by method.
        mirrored: Maps of the mirrored images, mirrored back.
        noisy: Maps of the images with a little noise.
        against: Maps of another training of the same variant; None where there is none.
        seed: Seed of random weights and noise.
    """

    images: int
    cascade: tuple[Step, ...]
    behind: int
    repeated: Mapping[str, float]
    mirrored: Step
    noisy: Step
    seed: int
    against: Step | None = None

    @property
    def independent(self) -> tuple[str, ...]:
        """Methods whose maps hardly change when all weights are random: they do not explain the model."""
        return _above(self.cascade[-1])

    @property
    def blind(self) -> tuple[str, ...]:
        """Methods whose maps hardly change when all behind the feature map is random.

        They show where the features are strong, whatever the class.
        """
        return _above(self.cascade[self.behind])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "images": self.images,
            "seed": self.seed,
            "cascade": [vars(step) for step in self.cascade],
            "steps_behind_the_features": self.behind,
            "repeated": dict(self.repeated),
            "mirrored": vars(self.mirrored),
            "noisy": vars(self.noisy) | {"deviation": NOISE},
            "against": vars(self.against) if self.against else None,
            "independent": list(self.independent),
            "blind_to_what_is_behind_the_features": list(self.blind),
            "independent_above": DEPENDENT,
        }


def check_sanity(
    maker: MapMaker,
    inputs: Mapping[str, np.ndarray],
    targets: np.ndarray | None = None,
    *,
    seed: int = 0,
    against: tuple[str, Maps] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sanity:
    """Check the maps of a model; its weights are as before afterwards.

    Args:
        maker: Draws the maps.
        inputs: The model's inputs for some images.
        targets: Class index of each image; that of its predicted class unless given.
        seed: Seed of random weights and noise.
        against: Name of another training of the same variant, and its maps of the same images and classes.
        progress: Called with the numbers of steps done and of all steps.
    """
    original = maker(inputs, targets)
    steps = randomised_layers(maker.model)
    total = len(steps) + 3

    def report(done: int) -> None:
        if progress is not None:
            progress(done, total)

    singly = [
        maker({name: value[i : i + 1] for name, value in inputs.items()}, original.targets[i])
        for i in range(len(original.targets))
    ]
    repeated = {
        name: max(_difference(map[i], one.named()[name][0]) for i, one in enumerate(singly))
        for name, map in original.named().items()
    }
    report(1)

    def step(name: str, changed: Mapping[str, np.ndarray], mirrored: bool = False) -> Step:
        return _compared(name, original, maker(changed, original.targets), mirrored=mirrored)

    images = inputs[IMAGE]
    flipped = step("mirrored", {**inputs, IMAGE: images[:, :, ::-1]}, mirrored=True)
    report(2)
    noise = np.random.default_rng(seed).normal(0.0, NOISE, images.shape)
    noisy = step("noise", {**inputs, IMAGE: np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)})
    report(3)
    cascade = [step("trained", inputs)]
    with _restored(maker.model):
        fresh = _fresh_weights(maker.model, seed)
        for done, (name, layers) in enumerate(steps, start=4):
            for layer in layers:
                layer.set_weights(fresh[layer.path])
            cascade.append(step(name, inputs))
            report(done)
    behind = sum(not _nested(layer) for layer in maker.model.layers if layer.weights)
    beside = _compared(against[0], original, against[1]) if against is not None else None
    return Sanity(len(images), tuple(cascade), behind, repeated, flipped, noisy, seed, beside)


def randomised_layers(model: Any) -> list[tuple[str, list[Any]]]:
    """Return the steps of the cascade: a name and the layers with weights that become random in it.

    Layers come from the output to the input, those of metadata before the backbone. A nested model, which the
    backbone is, takes several steps.
    """
    found: list[tuple[str, list[Any]]] = []
    ordered = list(reversed(model.layers))
    ordered.sort(key=_nested)
    for layer in ordered:
        inner = [one for one in _leaves(layer) if one.weights]
        if not inner:
            continue
        if not _nested(layer):
            found.append((layer.name, inner))
            continue
        groups = [g for g in np.array_split(np.arange(len(inner))[::-1], BACKBONE_STEPS) if len(g)]
        for number, group in enumerate(groups, start=1):
            found.append((f"{layer.name} {number}/{len(groups)}", [inner[i] for i in group]))
    return found


def _nested(layer: Any) -> bool:
    return hasattr(layer, "layers")


def _leaves(layer: Any) -> Iterator[Any]:
    """Give the layers within a nested model, or the layer itself."""
    inner = getattr(layer, "layers", None)
    if inner is None:
        yield layer
        return
    for one in inner:
        yield from _leaves(one)


def _fresh_weights(model: Any, seed: int) -> dict[str, list[np.ndarray]]:
    """Return new initial weights of all layers by path: those of the layers' own initialisers."""
    import keras

    state = random.getstate()
    try:
        # Keras draws the seeds of initialisers from Python's global generator.
        random.seed(seed)
        clone = keras.models.clone_model(model)
    finally:
        random.setstate(state)
    pairs = zip(_all_leaves(model), _all_leaves(clone), strict=True)
    return {ours.path: theirs.get_weights() for ours, theirs in pairs}


def _all_leaves(model: Any) -> list[Any]:
    return [one for layer in model.layers for one in _leaves(layer)]


@contextmanager
def _restored(model: Any) -> Iterator[None]:
    weights = model.get_weights()
    try:
        yield
    finally:
        model.set_weights(weights)


def _compared(name: str, original: Maps, found: Maps, *, mirrored: bool = False) -> Step:
    maps = {key: map[:, :, ::-1] if mirrored else map for key, map in found.named().items()}
    rows = np.arange(len(found.targets))
    return Step(
        name,
        spearman={
            key: _mean([spearman(a, b) for a, b in zip(map, maps[key], strict=True)])
            for key, map in original.named().items()
        },
        ssim={
            key: float(np.mean([ssim(a, b) for a, b in zip(map, maps[key], strict=True)]))
            for key, map in original.named().items()
        },
        probability=float(found.probabilities[rows, found.targets].mean()),
    )


def _above(step: Step) -> tuple[str, ...]:
    return tuple(name for name, value in step.spearman.items() if value is not None and value > DEPENDENT)


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    greatest = float(np.abs(first).max())
    return float(np.abs(first - second).max()) / greatest if greatest else float(np.abs(second).max())


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
