"""What stands beside a run's score: the papers' numbers for its variant, and its costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from skinzoo.errors import PluginError, UsageError
from skinzoo.evaluation.comparison.entries import Entry
from skinzoo.profile.record import Profile
from skinzoo.published import protocol_warning, published_value
from skinzoo.registry import registry
from skinzoo.specs import VariantSpec
from skinzoo.variants import resolve_variant

NETWORK = ("backbone", "cut", "attention", "fusion", "pooling", "head", "classes", "image_size")
"""Choices that cost and score of a network depend on."""
_COMPARED = ("cut", "attention", "fusion", "pooling", "head", "image_size")


@dataclass(frozen=True)
class Published:
    """A paper's number for a run's variant.

    Args:
        value: The number.
        source: `Nguyen et al. 2022`.
        run: The source's own name of the run.
        dataset: The source's dataset.
        protocol: Its protocol, as skinzoo spells it.
        warning: Why numbers of that protocol are too high; empty where they are not.
        cases: Cases scored.
        notes: What differs from the variant as registered.
    """

    value: float
    source: str
    run: str
    dataset: str
    protocol: str
    warning: str
    cases: int | None
    notes: str

    def short(self, dataset: str) -> str:
        """Return it with its protocol, and with its dataset where that is not the run's."""
        facts = [self.protocol, self.warning.partition(":")[0]]
        if self.dataset.lower() != dataset.lower():
            facts.insert(0, self.dataset)
        return f"{self.value:.3f} ({', '.join(filter(None, facts))})"


@dataclass(frozen=True)
class Costs:
    """What a run's network costs.

    Args:
        parameters: All weights.
        flops: Operations of one image.
        latency: Median seconds of one image.
        throughput: Images a second in a batch.
        batch: Images of that batch.
        device: Where it was measured.
    """

    parameters: int | None = None
    flops: int | None = None
    latency: float | None = None
    throughput: float | None = None
    batch: int | None = None
    device: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON."""
        return asdict(self)


def published_for(entry: Entry, metric: str) -> tuple[Published, ...]:
    """Return the papers' numbers for a run's variant and a metric, the headline first."""
    name = entry.provenance["variant"]
    if entry.ensemble or name not in registry().names(VariantSpec.kind):
        return ()
    found = []
    for result in registry().get(VariantSpec, name).published:
        value = published_value(result, metric)
        if value is not None:
            found.append(
                Published(
                    value=value,
                    source=result.source,
                    run=result.run,
                    dataset=result.dataset,
                    protocol=result.protocol,
                    warning=protocol_warning(result.protocol),
                    cases=result.cases,
                    notes=result.notes,
                )
            )
    return tuple(found)


def deviations(entry: Entry) -> dict[str, tuple[Any, Any]]:
    """Return what a run chose otherwise than its variant is registered: name to (run's, registered)."""
    chosen = entry.card.get("variant", {})
    try:
        registered = resolve_variant(entry.provenance["variant"]).describe()
    except (PluginError, UsageError):
        return {}
    return {
        name: (chosen[name], registered[name])
        for name in _COMPARED
        if name in chosen and chosen[name] != registered[name]
    }


def costs_of(entry: Entry, profiles: Sequence[Profile]) -> tuple[Costs, str]:
    """Return what a run's network costs, and why that is not known better.

    Args:
        entry: The run.
        profiles: Profiles to look in; a row counts where it was built as the run's network.
    """
    parameters = entry.card.get("parameters", {}).get("total")
    chosen = entry.card.get("variant", {})
    if not profiles:
        return Costs(parameters=parameters), ""
    if entry.ensemble:
        return Costs(parameters=parameters), "it is an ensemble and profiles are of single networks"
    nearest: Mapping[str, Any] | None = None
    for profile in profiles:
        for row in profile.measured.values():
            if row["variant"] != entry.provenance["variant"]:
                continue
            different = [name for name in NETWORK if row["built"].get(name) != chosen.get(name)]
            if not different:
                place = f"{profile.device} of {profile.environment['processor']}"
                if profile.settings.precision != "float32":
                    place += f", {profile.settings.precision}"
                return Costs(
                    parameters=parameters,
                    flops=row["flops"]["total"] if row["flops"] else None,
                    latency=row["latency"]["median"],
                    throughput=row["throughput"]["images_per_second"],
                    batch=row["throughput"]["batch"],
                    device=place,
                ), ""
            nearest = {name: row["built"].get(name) for name in different}
    if nearest is None:
        reason = f"its variant {entry.provenance['variant']} was not profiled"
    else:
        reason = "profiled with " + ", ".join(
            f"{name} {value} instead of {chosen.get(name)}" for name, value in nearest.items()
        )
    return Costs(parameters=parameters), reason
