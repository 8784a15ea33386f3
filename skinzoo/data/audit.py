"""Audit of a dataset: what is broken, what is doubtful and what leaks between the parts of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skinzoo.data.duplicates import Pair, components, identical_groups, near_duplicates
from skinzoo.data.layout import index_images, is_mask
from skinzoo.data.read import differences
from skinzoo.data.scan import Scan, scan_images
from skinzoo.data.table import check_table, class_counts, lesion_count
from skinzoo.specs import DatasetSpec
from skinzoo.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from skinzoo.data.splits import Split

SEVERITIES = ("error", "warning", "note")
"""`error`: data that cannot be used, or a split that leaks. `warning`: look at it before trusting a result.
`note`: what a reader of the results should know."""

Progress = Callable[[int, int], None]

_LEFT_OUT = (
    ("The image has no row", "image-without-row", "warning", "images without a row in the table"),
    ("Every row must have an image file", "row-without-image", "error", "rows without an image file"),
    ("`image_id` must be unique", "duplicate-id", "error", "rows with an image id that is there already"),
    ("`image_id` must not be empty", "no-id", "error", "rows without an image id"),
    ("`label` must", "unknown-class", "error", "rows of an unknown class"),
    ("`age` must", "age-out-of-range", "error", "rows with an impossible age"),
    ("`sex` must", "sex-out-of-vocabulary", "error", "rows with a sex outside the vocabulary"),
    (
        "`localization` must",
        "localization-out-of-vocabulary",
        "error",
        "rows with a localization outside the vocabulary",
    ),
    ("`part` must", "unknown-part", "error", "rows of an unknown official part"),
    ("Images must be", "unread-format", "warning", "image files of a kind that is not read"),
)


@dataclass(frozen=True)
class Finding:
    """One kind of thing that the audit found.

    Args:
        kind: Stable name of the check, such as `unreadable-image`.
        severity: One of `SEVERITIES`.
        message: What was found, a sentence with its number.
        items: Where: image ids, lesion ids, paths, reasons.
        hint: What to do about it; empty where there is nothing to do.
        leak: Whether it is a leak between the parts of the split.
        count: How many there are; None where that is the number of items.
    """

    kind: str
    severity: str
    message: str
    items: tuple[Mapping[str, Any], ...] = ()
    hint: str = ""
    leak: bool = False
    count: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the finding for JSON."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
            "leak": self.leak,
            "count": len(self.items) if self.count is None else self.count,
            "items": [dict(item) for item in self.items],
        }


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Args:
        dataset: Name of the dataset.
        path: What was audited; empty where it is not known.
        images: Usable rows.
        lesions: Distinct lesion ids; 0 where the data carry none.
        class_counts: Images of each class, in class order.
        missing: Rows of which age, sex or localization is unknown.
        image_sizes: Number of images by `WIDTHxHEIGHT`, the most frequent first.
        split: Hash of the split that was checked; empty where none was.
        findings: All findings, errors first.
    """

    dataset: str
    path: str
    images: int
    lesions: int
    class_counts: Mapping[str, int]
    missing: Mapping[str, int]
    image_sizes: Mapping[str, int]
    split: str = ""
    findings: tuple[Finding, ...] = field(default=())

    @property
    def leaks(self) -> bool:
        """Whether the split leaks."""
        return any(finding.leak for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """3 where there is an error, a leak among them; 0 otherwise."""
        return 3 if self.severity_counts["error"] else 0

    @property
    def severity_counts(self) -> dict[str, int]:
        """Findings of each severity."""
        counts = Counter(finding.severity for finding in self.findings)
        return {severity: counts[severity] for severity in SEVERITIES}

    def of_kind(self, kind: str) -> Finding | None:
        """Return the finding of a kind, or None where nothing of the kind was found."""
        return next((finding for finding in self.findings if finding.kind == kind), None)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "dataset": self.dataset,
            "path": self.path,
            "images": self.images,
            "lesions": self.lesions,
            "class_counts": dict(self.class_counts),
            "missing": dict(self.missing),
            "image_sizes": dict(self.image_sizes),
            "split": self.split,
            "leaks": self.leaks,
            "severity_counts": self.severity_counts,
            "findings": [finding.as_dict() for finding in self.findings],
        }


def audit(
    table: pd.DataFrame,
    split: Split | None = None,
    path: Path | str | None = None,
    *,
    spec: DatasetSpec | None = None,
    progress: Progress | None = None,
    cached: bool = True,
) -> AuditReport:
    """Look for everything that makes results on a dataset worth less than they seem.

    Args:
        table: Canonical table, best read with `skip_bad=True`, so that bad rows are findings, not an error.
        split: A split of the table, to look for leaks.
        path: Where the dataset lies, to find images that no row names.
        spec: The dataset, to compare with its publication.
        progress: Called with the numbers of images looked at and of all images.
        cached: Whether an earlier look at unchanged files may be used.

    Returns:
        The report; its `exit_code` is what a command should end with.
    """
    table = check_table(table, vocabularies=spec.vocabularies if spec else None, skip_bad=True)
    scan = scan_images(table["image_path"].tolist(), progress=progress, cached=cached)
    duplicates = _Duplicates(table, scan)
    findings = [
        *_left_out(table, path),
        *_unreadable(table, scan),
        *_conflicting_labels(table),
        *duplicates.findings(),
        *_orientations(table, scan),
        *_publication(table, scan, spec),
        *_missing(table),
        *_ids(table),
    ]
    if split is not None:
        findings += _split_findings(table, split, duplicates)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return AuditReport(
        dataset=table.attrs["dataset"],
        path=str(path) if path is not None else "",
        images=len(table),
        lesions=lesion_count(table),
        class_counts=class_counts(table),
        missing=_missing_counts(table),
        image_sizes=_image_sizes(scan),
        split=split.hash if split is not None else "",
        findings=tuple(findings),
    )


def near_duplicate_groups(
    table: pd.DataFrame, *, progress: Progress | None = None, cached: bool = True
) -> dict[str, str]:
    """Group images that show the same: by lesion id, byte-identical files and near-duplicates.

    Args:
        table: Canonical table.
        progress: Called with the numbers of images looked at and of all images.
        cached: Whether an earlier look at unchanged files may be used.

    Returns:
        Group of each image id; the name of a group is the lesion id of its first image, or the image id where
        there is none. Images that cannot be decoded are alone unless their lesion id groups them.
    """
    scan = scan_images(table["image_path"].tolist(), progress=progress, cached=cached)
    lesions, images = table["lesion_id"].tolist(), table["image_id"].tolist()
    same_lesion = [(group[0], other) for group in _positions(lesions).values() for other in group[1:]]
    roots = components(len(table), [*same_lesion, *_Duplicates(table, scan).links()])
    return {image: lesions[root] or images[root] for image, root in zip(images, roots, strict=True)}


class _Duplicates:
    """Byte-identical files and near-duplicates of a table."""

    def __init__(self, table: pd.DataFrame, scan: Scan) -> None:
        self._table = table
        self._images = table["image_id"].tolist()
        self._lesions = table["lesion_id"].tolist()
        self._labels = table["label"].tolist()
        self.identical = identical_groups(scan.digests)
        # One file of each identical group stands for all of them.
        copies = {position for group in self.identical for position in group[1:]}
        distinct = np.array([i for i in np.flatnonzero(scan.usable) if i not in copies], dtype=int)
        found = near_duplicates(
            scan.thumbnails[distinct],
            sides=np.minimum(scan.widths, scan.heights)[distinct],
            known=[self._lesions[i] for i in distinct],
        )
        self.near = [
            Pair(int(distinct[pair.first]), int(distinct[pair.second]), pair.similarity, pair.orientation)
            for pair in found
        ]

    def links(self) -> list[tuple[int, int]]:
        """Return the pairs of positions that show the same."""
        identical = [(group[0], other) for group in self.identical for other in group[1:]]
        return identical + [(pair.first, pair.second) for pair in self.near]

    def findings(self) -> Iterable[Finding]:
        within = [group for group in self.identical if self._one_lesion(group)]
        across = [group for group in self.identical if not self._one_lesion(group)]
        if within:
            yield Finding(
                "identical-files",
                "note",
                f"{_count(len(within), 'group')} of byte-identical files, each within one lesion.",
                tuple(self._group(group) for group in within),
            )
        if across:
            yield Finding(
                "identical-files-across-lesions",
                "warning",
                f"{_count(len(across), 'group')} of byte-identical files that no lesion id joins.",
                tuple(self._group(group) for group in across),
                hint="Keep them in one part: skinzoo data split --merge-duplicates",
            )
        if self.near:
            differ = sum(self._labels[pair.first] != self._labels[pair.second] for pair in self.near)
            yield Finding(
                "near-duplicates",
                "warning",
                f"{_count(len(self.near), 'pair')} of images look the same and no lesion id joins them"
                + (f"; {differ:,} of them differ in label." if differ else "."),
                tuple(self.pair(pair) for pair in self.near),
                hint="Look at them; to keep them in one part: skinzoo data split --merge-duplicates",
            )

    def pair(self, pair: Pair) -> dict[str, Any]:
        """Return a pair for JSON."""
        both = (pair.first, pair.second)
        return {
            **self._group(both),
            "similarity": round(pair.similarity, 3),
            "orientation": pair.orientation,
        }

    def _group(self, positions: Sequence[int]) -> dict[str, Any]:
        return {
            "image_ids": [self._images[i] for i in positions],
            "lesion_ids": [self._lesions[i] for i in positions],
            "labels": [self._labels[i] for i in positions],
        }

    def _one_lesion(self, positions: Sequence[int]) -> bool:
        lesions = {self._lesions[i] for i in positions}
        return len(lesions) == 1 and "" not in lesions

    def crossing(self, parts: Sequence[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the identical groups and the near-duplicates that several parts share."""
        identical = [
            self._group(group) | {"parts": [parts[i] for i in group]}
            for group in self.identical
            if len({parts[i] for i in group} - {""}) > 1
        ]
        near = [
            self.pair(pair) | {"parts": [parts[pair.first], parts[pair.second]]}
            for pair in self.near
            if len({parts[pair.first], parts[pair.second]} - {""}) > 1
        ]
        return identical, near


def _left_out(table: pd.DataFrame, path: Path | str | None) -> list[Finding]:
    entries = list(table.attrs["left_out"])
    if path is not None and Path(path).is_dir():
        entries += _unnamed_images(table, entries, Path(path))
    found = []
    rest = list(entries)
    for start, kind, severity, what in _LEFT_OUT:
        matching = [entry for entry in entries if start in entry["reason"]]
        rest = [entry for entry in rest if start not in entry["reason"]]
        if matching:
            found.append(_left_out_finding(kind, severity, what, matching))
    if rest:
        found.append(_left_out_finding("left-out", "warning", "images or rows left out by the reader", rest))
    return found


def _left_out_finding(kind: str, severity: str, what: str, entries: Sequence[Mapping[str, str]]) -> Finding:
    return Finding(
        kind,
        severity,
        f"{len(entries):,} {what}.",
        tuple(dict(entry) for entry in entries),
        hint="Correct the data, or leave their rows out of training with --skip-bad."
        if severity == "error"
        else "",
    )


def _unnamed_images(
    table: pd.DataFrame, entries: Sequence[Mapping[str, str]], root: Path
) -> list[dict[str, str]]:
    named = {entry["path"] for entry in entries} | set(table["image_path"])
    index = index_images([root], accept=lambda name: not is_mask(name))
    on_disk = [
        *index.paths.items(),
        *((name, path) for name, paths in index.repeated.items() for path in paths),
    ]
    # Readers that unpack an archive keep their images elsewhere; then what lies here is not theirs.
    if not any(path in named for _, path in on_disk):
        return []
    return [
        {"image_id": name, "path": path, "reason": "The image has no row in the table."}
        for name, path in on_disk
        if path not in named
    ]


def _unreadable(table: pd.DataFrame, scan: Scan) -> list[Finding]:
    bad = [int(i) for i in np.flatnonzero(~scan.usable)]
    if not bad:
        return []
    items = tuple(
        {
            "image_id": table["image_id"].iat[i],
            "path": table["image_path"].iat[i],
            "reason": str(scan.errors[i]),
        }
        for i in bad
    )
    return [
        Finding(
            "unreadable-image",
            "error",
            f"{_count(len(items), 'image file')} cannot be used.",
            items,
            hint="Replace the files, or leave their rows out of training with --skip-bad.",
        )
    ]


def _conflicting_labels(table: pd.DataFrame) -> list[Finding]:
    labels = table["label"].tolist()
    items = tuple(
        {"lesion_id": lesion, "labels": sorted({labels[i] for i in group})}
        for lesion, group in _positions(table["lesion_id"].tolist()).items()
        if len({labels[i] for i in group}) > 1
    )
    if not items:
        return []
    return [
        Finding(
            "conflicting-labels",
            "warning",
            f"{_count(len(items), 'lesion')} with images of different labels.",
            items,
            hint="At most one label can be right; check them against the source.",
        )
    ]


def _orientations(table: pd.DataFrame, scan: Scan) -> list[Finding]:
    turned = [int(i) for i in np.flatnonzero(scan.orientations != 1)]
    if not turned:
        return []
    items = tuple(
        {"image_id": table["image_id"].iat[i], "orientation": int(scan.orientations[i])} for i in turned
    )
    return [
        Finding(
            "exif-orientation",
            "warning",
            f"{_count(len(items), 'image')} whose EXIF orientation is not 1; decoding ignores it.",
            items,
            hint="Turn the pixels and drop the tag, if upright pictures matter to you.",
        )
    ]


def _publication(table: pd.DataFrame, scan: Scan, spec: DatasetSpec | None) -> list[Finding]:
    found = []
    differing = differences(table, spec) if spec is not None else []
    for sentence in table.attrs["notes"]:
        if sentence not in differing:
            found.append(Finding("reader-note", "note", sentence))
    if spec is None:
        return found
    facts, counts = spec.facts, class_counts(table)
    if facts.class_counts and table.attrs["classes"] == spec.classes:
        items = tuple(
            {"label": name, "images": counts.get(name, 0), "published": published}
            for name, published in facts.class_counts.items()
            if counts.get(name, 0) != published
        )
        if items:
            text = ", ".join(f"{item['label']} {item['images']:,} ({item['published']:,})" for item in items)
            found.append(
                Finding(
                    "class-counts",
                    "warning",
                    f"Images of a class differ from the publication: {text}.",
                    items,
                )
            )
    for kind, number, published in (
        ("images", len(table), facts.images),
        ("lesions", lesion_count(table), facts.lesions),
    ):
        if published is not None and number != published:
            found.append(
                Finding(f"{kind}-count", "warning", f"{number:,} {kind}; the publication has {published:,}.")
            )
    if facts.image_size is not None:
        found += _resolution(scan, facts.image_size)
    return found


def _resolution(scan: Scan, published: tuple[int, int]) -> list[Finding]:
    wanted = f"{published[0]}x{published[1]}"
    other = {size: count for size, count in _image_sizes(scan).items() if size != wanted}
    if not other:
        return []
    most = next(iter(other))
    return [
        Finding(
            "resolution",
            "note",
            f"{sum(other.values()):,} of {int(scan.usable.sum()):,} images are not of the published size "
            f"{wanted}; {other[most]:,} are {most}. Results may differ from those on the originals.",
            tuple({"size": size, "images": count} for size, count in other.items()) if len(other) > 1 else (),
            count=sum(other.values()),
        )
    ]


def _image_sizes(scan: Scan) -> dict[str, int]:
    usable = scan.usable
    counts = Counter(
        f"{width}x{height}" for width, height in zip(scan.widths[usable], scan.heights[usable], strict=True)
    )
    return dict(counts.most_common())


def _missing_counts(table: pd.DataFrame) -> dict[str, int]:
    return {
        "age": int(table["age"].isna().sum()),
        "sex": int((table["sex"] == UNKNOWN).sum()),
        "localization": int((table["localization"] == UNKNOWN).sum()),
    }


def _missing(table: pd.DataFrame) -> list[Finding]:
    found = []
    for name, number in _missing_counts(table).items():
        if number == len(table):
            found.append(Finding(f"missing-{name}", "note", f"No image has {_article(name)}.", count=number))
        elif number:
            text = f"{_count(number, 'image')} without {name}."
            found.append(Finding(f"missing-{name}", "note", text, count=number))
    return found


def _ids(table: pd.DataFrame) -> list[Finding]:
    without = int((table["lesion_id"] == "").sum())
    if not without:
        return []
    return [
        Finding(
            "no-lesion-ids",
            "note",
            f"{'No image has' if without == len(table) else f'{without:,} images are without'} a lesion or "
            "patient id; only near-duplicates can tell that two images show one lesion.",
            count=without,
        )
    ]


def _split_findings(table: pd.DataFrame, split: Split, duplicates: _Duplicates) -> list[Finding]:
    assignment = split.assignment
    images = table["image_id"].tolist()
    parts = [assignment.get(image, "") for image in images]
    found = []
    absent = sorted(set(assignment) - set(images))
    if absent:
        found.append(
            Finding(
                "split-names-absent-images",
                "error",
                f"The split names {_count(len(absent), 'image')} that the data do not have.",
                tuple({"image_id": image} for image in absent),
                hint="Use the split with the data that it was made for.",
            )
        )
    unassigned = [image for image, part in zip(images, parts, strict=True) if not part]
    if unassigned:
        found.append(
            Finding(
                "not-in-split",
                "note",
                f"{_count(len(unassigned), 'image')} in no part of the split.",
                tuple({"image_id": image} for image in unassigned),
            )
        )
    crossing: list[dict[str, Any]] = [
        {"lesion_id": lesion, "parts": sorted(shared), "images": sum(parts[i] != "" for i in group)}
        for lesion, group in _positions(table["lesion_id"].tolist()).items()
        if len(shared := {parts[i] for i in group} - {""}) > 1
    ]
    if crossing:
        found.append(
            Finding(
                "lesions-cross-split",
                "error",
                f"The split leaks: {_count(len(crossing), 'lesion')} with images in several parts "
                f"({sum(item['images'] for item in crossing):,} images).",
                tuple(crossing),
                hint="Split by lesion: skinzoo data split --protocol lesion",
                leak=True,
            )
        )
    identical, near = duplicates.crossing(parts)
    if identical:
        found.append(
            Finding(
                "identical-files-cross-split",
                "error",
                f"The split leaks: {_count(len(identical), 'group')} of byte-identical files in several "
                "parts.",
                tuple(identical),
                hint="Split anew: skinzoo data split --merge-duplicates",
                leak=True,
            )
        )
    if near:
        # Without ids the pictures are the only evidence there is; with ids they may contradict the source.
        alone = any(not all(item["lesion_ids"]) for item in near)
        found.append(
            Finding(
                "near-duplicates-cross-split",
                "error" if alone else "warning",
                f"{'The split leaks: ' if alone else ''}{_count(len(near), 'pair')} of images that look the "
                "same in different parts.",
                tuple(near),
                hint="Split anew: skinzoo data split --merge-duplicates",
                leak=alone,
            )
        )
    return found


def _positions(values: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of each value but the empty one."""
    found: dict[str, list[int]] = {}
    for position, value in enumerate(values):
        if value:
            found.setdefault(value, []).append(position)
    return found


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _article(name: str) -> str:
    return f"an {name}" if name == "age" else f"a {name}"
