"""The built-in sample: synthetic dermoscopic lesions, so that every command works with nothing downloaded.

The pictures are drawn, not photographed: they share the seven classes, the imbalance and the table of
HAM10000 and nothing else. Numbers reached on them say that the program works and say nothing about skin.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from skinzoo.data.folders import make_once
from skinzoo.data.lesion_camera import photograph
from skinzoo.data.lesion_painter import paint_lesion
from skinzoo.errors import UsageError
from skinzoo.home import datasets_folder

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
DESCRIPTION = "sample.json"
METADATA = "metadata.csv"
IMAGES = "images"
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")

GENERATOR_VERSION = 1
FEWEST_IMAGES = 42
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class SampleOptions:
    """What a sample is made from.

    Args:
        images: Number of images.
        width: Width of the images in pixels; the height is three quarters of it.
        seed: Seed of everything random.
    """

    images: int = 420
    width: int = 120
    seed: int = 0

    def __post_init__(self) -> None:
        if self.images < FEWEST_IMAGES:
            raise UsageError(
                f"`images` must be at least {FEWEST_IMAGES}, so that each class has some. Received: "
                f"{self.images}."
            )
        if not 32 <= self.width <= 1024:
            raise UsageError(f"`width` must be within 32..1024 pixels. Received: {self.width}.")
        if self.seed < 0:
            raise UsageError(f"`seed` must not be negative. Received: {self.seed}.")

    @property
    def key(self) -> str:
        """Short hash of the options and of the generator's version."""
        text = json.dumps([GENERATOR_VERSION, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class ClassProfile:
    """How a class is distributed in the sample.

    Args:
        images: Its share among 10,015 images.
        age: Mean and standard deviation in years.
        male: Share of men.
        localization: Terms with their weights.
        confirmation: Kinds of confirmation with their weights.
    """

    images: int
    age: tuple[float, float]
    male: float
    localization: dict[str, float]
    confirmation: dict[str, float]


PROFILES: dict[str, ClassProfile] = {
    "akiec": ClassProfile(
        327,
        (67, 10),
        0.67,
        {"face": 5, "lower extremity": 3, "upper extremity": 3, "back": 1, "scalp": 1},
        {"histo": 1},
    ),
    "bcc": ClassProfile(
        514, (67, 12), 0.6, {"back": 4, "face": 4, "lower extremity": 2, "chest": 2, "neck": 1}, {"histo": 1}
    ),
    "bkl": ClassProfile(
        1099,
        (64, 13),
        0.57,
        {"face": 4, "back": 3, "lower extremity": 3, "abdomen": 1, "upper extremity": 2, "trunk": 1},
        {"histo": 7, "consensus": 3},
    ),
    "df": ClassProfile(
        115,
        (52, 13),
        0.45,
        {"lower extremity": 7, "upper extremity": 3, "back": 1},
        {"histo": 5, "consensus": 5},
    ),
    "mel": ClassProfile(
        1113,
        (61, 15),
        0.62,
        {"back": 5, "lower extremity": 3, "upper extremity": 3, "face": 2, "abdomen": 1, "chest": 1},
        {"histo": 1},
    ),
    "nv": ClassProfile(
        6705,
        (46, 15),
        0.52,
        {
            "back": 4,
            "trunk": 4,
            "lower extremity": 4,
            "abdomen": 3,
            "upper extremity": 2,
            "foot": 1,
            "chest": 1,
        },
        {"follow_up": 55, "histo": 40, "consensus": 5},
    ),
    "vasc": ClassProfile(
        142,
        (51, 19),
        0.5,
        {"trunk": 4, "lower extremity": 3, "upper extremity": 2, "abdomen": 1},
        {"histo": 4, "consensus": 6},
    ),
}

MISSING_AGE = 0.03
MISSING_SEX = 0.02
MISSING_LOCALIZATION = 0.03


@dataclass(frozen=True)
class Lesion:
    """One synthetic lesion.

    Args:
        number: Its number in the sample; with the seed it decides everything about it.
        label: Class name.
        images: Number of pictures taken of it.
    """

    number: int
    label: str
    images: int


def sample_folder(options: SampleOptions | None = None) -> Path:
    """Return the folder of a sample, drawing it if it is not there.

    Raises:
        DataError: The folder cannot be written.
    """
    options = options or SampleOptions()
    return make_once(
        datasets_folder() / f"sample-{options.key}",
        lambda folder: draw_sample(folder, options),
        what="The sample",
    )


def draw_sample(folder: Path, options: SampleOptions) -> None:
    """Draw a sample into a folder: JPEG files, a metadata table like HAM10000's, and a description."""
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    height = round(options.width * 3 / 4)
    with (folder / METADATA).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        number = 0
        for lesion in _lesions(options):
            rng = np.random.default_rng([options.seed, lesion.number, 1])
            facts = _metadata(lesion, np.random.default_rng([options.seed, lesion.number, 2]))
            canvas = paint_lesion(lesion.label, rng, resolution=round(options.width * 1.7))
            for _ in range(lesion.images):
                image_id = f"SAMPLE_{number:07d}"
                picture = photograph(canvas, rng, width=options.width, height=height)
                Image.fromarray(picture).save(folder / IMAGES / f"{image_id}.jpg", quality=_JPEG_QUALITY)
                writer.writerow([f"SAM_{lesion.number:07d}", image_id, lesion.label, *facts])
                number += 1
    description = {"generator": GENERATOR_VERSION, **asdict(options)}
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def class_sizes(images: int) -> dict[str, int]:
    """Return the images of each class: HAM10000's shares, with a floor for rare classes.

    The floor is 20 images, or a tenth of the sample where that is less, and at least 6.
    """
    floor = min(20, max(images // 10, 6))
    total = sum(profile.images for profile in PROFILES.values())
    sizes = {name: max(floor, round(images * profile.images / total)) for name, profile in PROFILES.items()}
    sizes["nv"] = images - sum(size for name, size in sizes.items() if name != "nv")
    return sizes


def _lesions(options: SampleOptions) -> list[Lesion]:
    rng = np.random.default_rng([options.seed, 0])
    pictures: list[tuple[str, int]] = []
    for label, size in class_sizes(options.images).items():
        lesions = max(size - size // 5, 1) if size <= 20 else round(size * 0.75)
        counts = np.ones(lesions, dtype=int)
        for _ in range(size - lesions):
            counts[rng.integers(lesions)] += 1
        pictures += [(label, int(count)) for count in counts]
    order = rng.permutation(len(pictures))
    return [Lesion(number, *pictures[position]) for number, position in enumerate(order)]


def _metadata(lesion: Lesion, rng: np.random.Generator) -> tuple[str, str, str, str]:
    profile = PROFILES[lesion.label]
    age = float(np.clip(round(rng.normal(*profile.age) / 5) * 5, 0, 85))
    sex = "male" if rng.random() < profile.male else "female"
    localization = _choice(rng, profile.localization)
    confirmation = _choice(rng, profile.confirmation)
    return (
        confirmation,
        "" if rng.random() < MISSING_AGE else f"{age:.1f}",
        "unknown" if rng.random() < MISSING_SEX else sex,
        "unknown" if rng.random() < MISSING_LOCALIZATION else localization,
    )


def _choice(rng: np.random.Generator, weights: dict[str, float]) -> str:
    shares = np.array(list(weights.values()), dtype=float)
    return list(weights)[rng.choice(len(shares), p=shares / shares.sum())]
