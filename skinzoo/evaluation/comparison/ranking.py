"""Ranking evaluated runs by a metric, split by split, with what separates each from the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skinzoo import __version__
from skinzoo.data.table import PARTS
from skinzoo.errors import ModelError, UsageError, one_of
from skinzoo.evaluation.comparison.beside import Costs, Published, costs_of, deviations, published_for
from skinzoo.evaluation.comparison.differences import Differences
from skinzoo.evaluation.comparison.entries import EXTERNAL, Entry, Left
from skinzoo.evaluation.definitions import OVERALL_BY_NAME
from skinzoo.evaluation.intervals import DRAWS, Difference, Interval
from skinzoo.profile.record import Profile
from skinzoo.registry import registry
from skinzoo.specs import MetricSpec

DEFAULT = "balanced_accuracy"
ACROSS = (
    "These runs stand on different splits: a score of one split says nothing beside a score of another. "
    "Ranks and differences hold within a split."
)
_FORMAT = 1


@dataclass(frozen=True)
class Row:
    """A run in its place.

    Args:
        entry: The run's evaluation.
        rank: Its place among the runs of its split, from 1; None where the metric is undefined.
        difference: The metric minus that of the best run of its split, on the same images; None for the best
            one and where predictions are missing.
        missing: Why there is no difference; empty where there is one or where it is the best.
        published: The papers' numbers for its variant.
        deviations: What it chose otherwise than its variant is registered.
        costs: What it costs.
        unknown_costs: Why its costs are not known.
    """

    entry: Entry
    rank: int | None
    difference: Difference | None
    missing: str
    published: tuple[Published, ...]
    deviations: Mapping[str, tuple[Any, Any]]
    costs: Costs
    unknown_costs: str

    def value(self, metric: str) -> float | None:
        """Return a metric."""
        return self.entry.values.get(metric)

    def interval(self, metric: str) -> Interval | None:
        """Return a metric's interval."""
        return self.entry.intervals.get(metric)


@dataclass(frozen=True)
class Group:
    """The runs of one split, the best first.

    Args:
        rows: The runs.
    """

    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """What the runs have in common."""
        first = self.rows[0].entry
        stated = first.provenance
        if first.external:
            return f"{stated['dataset']}, external data: {first.cases:,} images"
        return (
            f"{stated['dataset']}, protocol {stated['protocol']}, split {stated['split_hash'][:12]}, "
            f"{stated['part']} part: {first.cases:,} images"
        )

    @property
    def marks(self) -> tuple[str, ...]:
        """Why the scores are too high."""
        return self.rows[0].entry.marks


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other.

    Args:
        metric: What they are sorted by.
        higher_is_better: Whether more of it is better.
        groups: The runs of each split.
        left: Runs that are not listed.
        draws: Bootstrap draws of the differences.
    """

    metric: str
    higher_is_better: bool
    groups: tuple[Group, ...]
    left: tuple[Left, ...]
    draws: int

    @property
    def title(self) -> str:
        """The metric as a reader knows it."""
        return title_of(self.metric)

    def notes(self) -> list[str]:
        """Return what a reader must know of the table, the gravest first."""
        found = [ACROSS] if len(self.groups) > 1 else []
        for group in self.groups:
            if group.marks:
                found.append(f"Too high ({', '.join(group.marks)}): all scores on {group.title}.")
        rows = [row for group in self.groups for row in group.rows]
        for row in rows:
            name = row.entry.name
            if row.value(self.metric) is None:
                found.append(f"{name}: {self.title} is undefined on these cases, so it has no place.")
            if row.missing:
                found.append(f"{name}: no difference to the best run, because {row.missing}.")
            if row.published and row.deviations:
                changed = ", ".join(
                    f"{what} {_plain(ours)} instead of {_plain(theirs)}"
                    for what, (ours, theirs) in row.deviations.items()
                )
                found.append(f"{name} is not the variant as registered: {changed}.")
            if row.unknown_costs:
                found.append(f"{name}: costs left out, {row.unknown_costs}.")
        if (
            any(len(group.rows) > 1 for group in self.groups)
            and rows[0].entry.provenance["part"] == PARTS[-1]
        ):
            found.append(
                "Whoever picks a run by this list selects on test, and its score is then somewhat too high: "
                "pick with --part validation and report the test part."
            )
        if any(paper.warning for row in rows for paper in row.published[:1]):
            found.append(
                "The papers' numbers stand on their own protocols: leaky and selection-on-test ones are too "
                "high to be reached honestly."
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "kind": "skinzoo comparison",
            "format": _FORMAT,
            "skinzoo": __version__,
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "draws": self.draws,
            "across_splits": len(self.groups) > 1,
            "notes": self.notes(),
            "groups": [
                {
                    "title": group.title,
                    "split": list(group.rows[0].entry.split),
                    "marks": list(group.marks),
                    "runs": [_row_to_dict(row, self.metric) for row in group.rows],
                }
                for group in self.groups
            ],
            "left_out": [one.to_dict() for one in self.left],
        }


def title_of(metric: str) -> str:
    """Return a metric as a reader knows it."""
    return OVERALL_BY_NAME[metric].title if metric in OVERALL_BY_NAME else metric


def rank_runs(
    entries: Sequence[Entry],
    left: Sequence[Left] = (),
    *,
    by: str = DEFAULT,
    split: str | None = None,
    across_splits: bool = False,
    profiles: Sequence[Profile] = (),
    draws: int = DRAWS,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Rank evaluated runs.

    Args:
        entries: Their evaluations.
        left: Runs that have none, to be named.
        by: Metric to sort by; that of a class as `recall[mel]`.
        split: First characters of the hash of the only split to list.
        across_splits: Whether to list runs of several splits, each split for itself.
        profiles: Where costs are looked up.
        draws: Bootstrap draws of the differences.
        progress: Called with the numbers of differences done and of all.

    Raises:
        ModelError: None of the runs is evaluated.
        UsageError: The runs stand on different splits, or there is no such metric or split.
        DataError: A file of predictions cannot be read.
    """
    if split is not None:
        entries = [entry for entry in entries if not entry.external and entry.split[0].startswith(split)]
        if not entries:
            raise UsageError(f"--split must begin the hash of a listed run's split. Received: '{split}'.")
    if not entries:
        raise ModelError(
            "At least one run must be evaluated to be compared. Received: "
            + (" ".join(map(str, left[:3])) or "none."),
            hint="See which runs there are: skinzoo runs",
        )
    known = list(dict.fromkeys(name for entry in entries for name in entry.values))
    if by not in known:
        # Those of the classes would make the list ten times as long.
        of_class, bracket, _ = by.partition("[")
        like = [name for name in known if bracket and name.startswith(f"{of_class}[")]
        raise one_of("by", by, like or [name for name in known if "[" not in name])
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.split, []).append(entry)
    if len(groups) > 1 and not across_splits:
        raise _different_splits(groups)
    higher = _higher_is_better(by)
    work = Differences(by, draws, sum(len(group) - 1 for group in groups.values()), progress)
    ranked = [_group(group, by, higher, profiles, work) for group in groups.values()]
    # Honest splits come first, then those with the most runs.
    ranked.sort(key=lambda group: (bool(group.marks), -len(group.rows)))
    return Comparison(by, higher, tuple(ranked), tuple(left), draws)


def _group(
    entries: Sequence[Entry], by: str, higher: bool, profiles: Sequence[Profile], work: Differences
) -> Group:
    sign = -1.0 if higher else 1.0
    defined = [entry for entry in entries if entry.values.get(by) is not None]
    ordered = sorted(defined, key=lambda entry: (sign * float(entry.values[by] or 0.0), entry.name))
    rows = []
    for entry in (*ordered, *(entry for entry in entries if entry not in defined)):
        value = entry.values.get(by)
        difference, missing = (None, "") if not ordered else work(entry, ordered[0])
        costs, unknown = costs_of(entry, profiles)
        rows.append(
            Row(
                entry=entry,
                # Equal values share a place.
                rank=None if value is None else 1 + [one.values[by] for one in ordered].index(value),
                difference=difference,
                missing=missing,
                published=published_for(entry, by),
                deviations=deviations(entry),
                costs=costs,
                unknown_costs=unknown,
            )
        )
    return Group(tuple(rows))


def _different_splits(groups: Mapping[tuple[str, ...], Sequence[Entry]]) -> UsageError:
    parts = []
    for split, entries in groups.items():
        names = ", ".join(entry.name for entry in entries[:3]) + (", ..." if len(entries) > 3 else "")
        what = f"external {split[1]}" if split[0] == EXTERNAL else f"{entries[0].protocol} {split[0][:12]}"
        parts.append(f"{what} ({names})")
    return UsageError(
        f"Runs in one list must stand on the same split and part. Received {len(groups)}: "
        f"{'; '.join(parts)}.",
        hint="Choose one with --split HASH, or list each split for itself with --across-splits.",
    )


def _higher_is_better(metric: str) -> bool:
    if metric in OVERALL_BY_NAME:
        return OVERALL_BY_NAME[metric].higher_is_better
    if metric in registry().names(MetricSpec.kind):
        return registry().get(MetricSpec, metric).higher_is_better
    return True


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return str(value)


def _row_to_dict(row: Row, metric: str) -> dict[str, Any]:
    entry = row.entry
    return {
        "rank": row.rank,
        "name": entry.name,
        "path": str(entry.path),
        "metric": metric,
        "value": row.value(metric),
        "interval": interval.to_dict() if (interval := row.interval(metric)) else None,
        "level": entry.level,
        "unit": entry.unit,
        "minus_best": row.difference.to_dict() if row.difference else None,
        "no_difference_because": row.missing or None,
        "marks": list(entry.marks),
        "provenance": dict(entry.provenance),
        "cases": entry.cases,
        "values": dict(entry.values),
        "intervals": {name: one.to_dict() if one else None for name, one in entry.intervals.items()},
        "seed": entry.card.get("seed"),
        "weights": entry.card.get("weights"),
        "variant": entry.card.get("variant"),
        "published": [dict(vars(paper)) for paper in row.published],
        "deviations": {
            name: {"run": ours, "registered": theirs} for name, (ours, theirs) in row.deviations.items()
        },
        "costs": row.costs.to_dict(),
        "costs_unknown_because": row.unknown_costs or None,
    }
