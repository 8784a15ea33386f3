"""Splits: files that say which image belongs to which part, made once, reused, compared by hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinzoo.data.protocols import (
    DROPPED,
    LEAKY,
    NO_LESION_IDS,
    TEST,
    TRAIN,
    VALIDATION,
    SplitRequest,
    checked_options,
)
from skinzoo.data.protocols import (
    protocol as find_protocol,
)
from skinzoo.data.table import PARTS, cases_digest, fingerprint
from skinzoo.errors import DataError, UsageError, one_of
from skinzoo.files import write_json

FORMAT = 1


@dataclass(frozen=True)
class Split:
    """Which image belongs to which part.

    Args:
        protocol: Name of the protocol that made it.
        seed: Seed of the protocol.
        options: Options of the protocol, defaults included.
        dataset: Name of the dataset.
        classes: Class names in order.
        assignment: Part of each image, by image id; dropped images are not in it.
        dropped: Reason of each dropped image, by image id.
        aliases: Parts that the split does not have, with the part that stands in.
        stamps: What it cannot do honestly: `leaky`, `selection on test`, `no lesion ids`.
        warnings: Sentences for run and report.
        counts: Images of each class in each part.
        crossing: Lesions with images in several parts.
        fingerprint: Fingerprint of the table, file sizes and metadata included.
        cases: Digest of image ids, labels and lesion ids alone.
        hash: Digest of all of that but the warnings, which only say how the split came about.
    """

    protocol: str
    seed: int
    options: Mapping[str, Any]
    dataset: str
    classes: tuple[str, ...]
    assignment: Mapping[str, str]
    dropped: Mapping[str, str]
    aliases: Mapping[str, str]
    stamps: tuple[str, ...]
    warnings: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    crossing: int
    fingerprint: str
    cases: str
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        content = {name: value for name, value in self._content().items() if name != "warnings"}
        object.__setattr__(self, "hash", _digest(content))

    @property
    def leaky(self) -> bool:
        """Whether images of one lesion lie in several parts, or may."""
        return LEAKY in self.stamps

    def resolve(self, part: str) -> str:
        """Return the part that stands for `part`: itself, or its stand-in.

        Raises:
            UsageError: The split has no such part.
        """
        if part not in PARTS:
            raise one_of("part", part, PARTS)
        return self.aliases.get(part, part)

    def part(self, table: pd.DataFrame, part: str) -> pd.DataFrame:
        """Return the rows of a part, in the table's order.

        A part that the split does not have is answered with its stand-in (`aliases`); the split is stamped
        then.

        Args:
            table: The table that the split was made on, or a copy of the same cases.
            part: `train`, `validation` or `test`.

        Raises:
            DataError: The split does not fit the table.
        """
        name = self.resolve(part)
        parts = [self.assignment.get(image_id) for image_id in table["image_id"]]
        if None in parts:
            self.check(table)
        rows = table[np.array([found == name for found in parts], dtype=bool)].reset_index(drop=True)
        rows.attrs = dict(table.attrs)
        return rows

    def part_of(self, table: pd.DataFrame) -> pd.Series:
        """Return the part of each row, `dropped` included."""
        return pd.Series(
            [self.assignment.get(image_id, DROPPED) for image_id in table["image_id"]], index=table.index
        )

    def check(self, table: pd.DataFrame) -> list[str]:
        """Check that the split was made on these cases.

        Args:
            table: The table.

        Returns:
            Sentences on what differs without harm, such as other file sizes of the same images.

        Raises:
            DataError: Images, labels or lesion ids are not those that the split was made on.
        """
        known = set(self.assignment) | set(self.dropped)
        here = set(table["image_id"])
        if self.cases == cases_digest(table):
            if self.fingerprint == fingerprint(table):
                return []
            return [
                "The split was made on another copy: same images, labels and lesions, other files or "
                "metadata."
            ]
        if known != here:
            first = sorted(known ^ here)[0]
            what = (
                f"{len(known - here):,} images of the split are not in the table and "
                f"{len(here - known):,} of the "
                f"table are not in the split, '{first}' first"
            )
        else:
            what = "the same images with other labels or lesion ids"
        raise DataError(
            f"The split must fit the table. Received: a split of dataset '{self.dataset}' "
            f"({len(known):,} images) "
            f"and a table of '{table.attrs.get('dataset', '')}' ({len(here):,} images): {what}.",
            hint="Read the data that the split was made on, or make a new split.",
        )

    def save(self, path: Path) -> None:
        """Write the split as JSON, atomically."""
        write_json(path, {**self._content(), "hash": self.hash})

    @classmethod
    def load(cls, path: Path, table: pd.DataFrame | None = None) -> Split:
        """Read a split and verify its hash.

        Args:
            path: A file that `save` wrote.
            table: A table to check it against.

        Raises:
            DataError: The file cannot be read, was changed, or does not fit the table.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            stated = content.pop("hash")
            version = content.pop("format")
            split = cls(
                **{
                    **content,
                    **{name: tuple(content[name]) for name in ("classes", "stamps", "warnings")},
                    # The file's keys are sorted.
                    "counts": {part: content["counts"][part] for part in PARTS if part in content["counts"]},
                }
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"A split must be a JSON file as skinzoo writes it. Received: {path} ({_reason(error)}).",
                hint="Make it anew: skinzoo data split",
            ) from error
        if version != FORMAT:
            raise DataError(
                f"A split must be of format {FORMAT}. Received: format {version} in {path}.",
                hint="Make it anew: skinzoo data split",
            )
        # Files written before warnings were left out of the hash are still good.
        if stated not in (split.hash, _digest(split._content())):
            raise DataError(
                f"The hash of a split must be that of its content. Received: {path}, which states "
                f"{stated[:12]} "
                f"and has {split.hash[:12]}.",
                hint="It was changed after it was made; restore it or make it anew.",
            )
        if table is not None:
            split.check(table)
        return split

    def _content(self) -> dict[str, Any]:
        content = {name: value for name, value in self.__dict__.items() if name != "hash"}
        plain: dict[str, Any] = json.loads(json.dumps({"format": FORMAT, **content}))
        return plain


def make_split(
    table: pd.DataFrame,
    protocol: str = "lesion",
    *,
    seed: int | None = None,
    options: Mapping[str, Any] | None = None,
    merge_duplicates: bool = False,
    groups: Mapping[str, str] | None = None,
    **more: Any,
) -> Split:
    """Divide a table by a protocol.

    Without lesion ids nothing tells which images belong together. Then the protocols `lesion` and
    `lesion_kfold` take the dataset's official parts where it has them (the split's protocol is then
    `official`), and otherwise keep near-duplicate images together; both are stamped `no lesion ids`.

    Args:
        table: The canonical table.
        protocol: One of `skinzoo.data.protocols.PROTOCOLS`.
        seed: Seed; the protocol's own unless given.
        options: Options of the protocol; they may also be given by name.
        merge_duplicates: Keep near-duplicate images together too, across lesions.
        groups: Cluster of near-duplicates of each image id, where they are known already; otherwise
            `skinzoo.data.audit` finds them when they are needed.
        **more: Options of the protocol by name.

    Raises:
        UsageError: An unknown protocol or option, or a value that is out of range.
        DataError: The table cannot be divided that way.
    """
    chosen = find_protocol(protocol)
    values = checked_options(chosen, {**(options or {}), **more})
    has_ids = bool((table["lesion_id"] != "").any())
    warnings: list[str] = []
    stamps: list[str] = []
    if chosen.grouped and not has_ids:
        stamps.append(NO_LESION_IDS)
        if protocol in ("lesion", "lesion_kfold") and _has_official_parts(table) and not merge_duplicates:
            warnings.append(
                f"The data carry no lesion or patient ids: the dataset's official parts are used instead of "
                f"protocol '{protocol}'. Nothing shows whether lesions cross them."
            )
            chosen = find_protocol("official")
            values = checked_options(chosen, {})
    seed = chosen.seed if seed is None else seed
    if seed < 0:
        raise UsageError(f"`seed` must not be negative. Received: {seed}.")
    needs_clusters = chosen.grouped and (
        merge_duplicates or (not has_ids and chosen.name not in ("official", "given"))
    )
    clusters = _clusters(table, groups) if needs_clusters else None
    numbers = group_numbers(table, clusters)
    if needs_clusters and not has_ids:
        warnings.append(
            "The data carry no lesion or patient ids: images were divided one by one, with "
            "near-duplicates kept "
            "together. Other images of one lesion may still lie in several parts."
        )
    elif needs_clusters:
        merged = len(set(group_numbers(table, None))) - len(set(numbers))
        warnings.append(
            f"Near-duplicate images were kept together across lesions ({merged:,} groups joined)."
        )
    elif has_ids and (without := int((table["lesion_id"] == "").sum())):
        warnings.append(f"{without:,} images carry no lesion id; each counts as a lesion of its own.")
    found = chosen.assign(
        SplitRequest(table=table, groups=numbers, grouped=has_ids, seed=seed, options=values)
    )
    ids = table["image_id"].tolist()
    assignment = {name: str(part) for name, part in zip(ids, found.parts, strict=True) if part != DROPPED}
    for part in (TRAIN, found.aliases.get(VALIDATION, VALIDATION), found.aliases.get(TEST, TEST)):
        if part not in assignment.values():
            raise DataError(
                f"Every part must have images. Received: none in the {part} part of protocol "
                f"'{chosen.name}'.",
                hint="Add data or choose other shares.",
            )
    stamps += found.stamps
    crossing = _crossing(table, assignment)
    if chosen.leaky or crossing:
        stamps.append(LEAKY)
    if crossing:
        images = int((table["lesion_id"].isin(crossing) & table["image_id"].isin(assignment)).sum())
        warnings.append(
            f"{len(crossing):,} lesions ({images:,} images) lie in several parts: results on this "
            f"split are too good."
        )
    if merge_duplicates and not chosen.grouped:
        warnings.append(
            f"Protocol '{chosen.name}' divides single images: near-duplicates were not kept together."
        )
    return Split(
        protocol=chosen.name,
        seed=seed,
        options={**values, "merge_duplicates": merge_duplicates},
        dataset=str(table.attrs.get("dataset", "")),
        classes=tuple(table.attrs["classes"]),
        assignment=assignment,
        dropped=dict(found.dropped),
        aliases=dict(found.aliases),
        stamps=tuple(dict.fromkeys(stamps)),
        warnings=(*warnings, *found.warnings),
        counts=_counts(table, assignment),
        crossing=len(crossing),
        fingerprint=fingerprint(table),
        cases=cases_digest(table),
    )


def make_folds(
    table: pd.DataFrame,
    *,
    folds: int = 10,
    seed: int | None = None,
    merge_duplicates: bool = False,
    groups: Mapping[str, str] | None = None,
) -> list[Split]:
    """Return the splits of a cross-validation: each image is tested once.

    Raises:
        DataError: The data carry no lesion ids but official parts, which are not to be divided anew; or
            they are too small.
    """
    if not (table["lesion_id"] != "").any():
        groups = _clusters(table, groups)
    splits = [
        make_split(
            table,
            "lesion_kfold",
            seed=seed,
            merge_duplicates=merge_duplicates,
            groups=groups,
            folds=folds,
            fold=number,
        )
        for number in range(folds)
    ]
    if any(split.protocol != "lesion_kfold" for split in splits):
        raise DataError(
            "Cross-validation must have lesion or patient ids. Received: none, but official parts.",
            hint="Use --protocol official, or --merge-duplicates to divide the images anew.",
        )
    return splits


def crossing_lesions(table: pd.DataFrame, split: Split) -> list[str]:
    """Return the ids of the lesions that have images in several parts of a split, sorted."""
    return _crossing(table, split.assignment)


def group_numbers(table: pd.DataFrame, clusters: Mapping[str, str] | None) -> np.ndarray:
    """Number the groups of images that must stay together.

    Args:
        table: The table; rows without a lesion id are a group of their own.
        clusters: Cluster of near-duplicates of each image id; groups that share a cluster are joined.

    Returns:
        int array `(rows,)`, numbered in the sorted order of the ids, as scikit-learn numbers groups: its
        shuffle depends on the numbers, so any other order would give another split.
    """
    names = [
        f"lesion {lesion}" if lesion else f"image {image}"
        for lesion, image in zip(table["lesion_id"], table["image_id"], strict=True)
    ]
    numbers = np.unique(np.array(names), return_inverse=True)[1]
    if clusters is None:
        return numbers
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    marks, _ = pd.factorize(np.array([clusters[image] for image in table["image_id"]], dtype=object))
    size = int(numbers.max()) + 1
    links = coo_matrix(
        (np.ones(len(numbers)), (numbers, marks + size)), shape=(size + int(marks.max()) + 1,) * 2
    )
    # Components are numbered by their first node, so the order of the ids is kept.
    joined = connected_components(links, directed=False)[1][numbers]
    return np.unique(joined, return_inverse=True)[1]


def _clusters(table: pd.DataFrame, groups: Mapping[str, str] | None) -> Mapping[str, str]:
    if groups is None:
        from skinzoo.data.audit import near_duplicate_groups

        groups = near_duplicate_groups(table)
    missing = [image_id for image_id in table["image_id"] if image_id not in groups]
    if missing:
        raise UsageError(
            f"`groups` must name a cluster for each image. Received: none for '{missing[0]}' and "
            f"{len(missing) - 1:,} more."
        )
    return groups


def _has_official_parts(table: pd.DataFrame) -> bool:
    have = set(table["part"])
    return TRAIN in have and bool(have & {VALIDATION, TEST})


def _crossing(table: pd.DataFrame, assignment: Mapping[str, str]) -> list[str]:
    parts: dict[str, set[str]] = {}
    for lesion, image in zip(table["lesion_id"], table["image_id"], strict=True):
        if lesion and image in assignment:
            parts.setdefault(lesion, set()).add(assignment[image])
    return sorted(lesion for lesion, found in parts.items() if len(found) > 1)


def _counts(table: pd.DataFrame, assignment: Mapping[str, str]) -> dict[str, dict[str, int]]:
    counts = {
        part: dict.fromkeys(table.attrs["classes"], 0) for part in PARTS if part in set(assignment.values())
    }
    for image, label in zip(table["image_id"], table["label"], strict=True):
        if image in assignment:
            counts[assignment[image]][label] += 1
    return counts


def _reason(error: Exception) -> str:
    """Return in a few words why a file is no split."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, OSError):
        return str(error.strerror or error)
    if isinstance(error, ValueError):
        return "not JSON"
    if isinstance(error, KeyError):
        return f"it lacks the key {error}"
    return "JSON, but not of a split"


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
