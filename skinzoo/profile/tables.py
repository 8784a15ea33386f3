"""A profile as tables: for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skinzoo.pages import Grid
from skinzoo.pages.markdown import escaped, markdown_table
from skinzoo.profile.record import COSTS, METHOD, Profile
from skinzoo.published import headline, protocol_warning
from skinzoo.registry import registry
from skinzoo.specs import VariantSpec

_UNKNOWN = "-"


def short_rows(profile: Profile) -> tuple[list[str], list[list[str]]]:
    """Return the table that fits a terminal of 80 columns: titles and cells."""
    titles = ["variant", "px", "M par.", "depth", "GFLOPs", "MB", "ms", "p90", "img/s", "train/s", "GiB"]
    return titles, [
        [
            row["variant"],
            _of(row, "built", lambda v: str(v["image_size"])),
            _of(row, "parameters", lambda v: f"{v['total'] / 1e6:.2f}"),
            _of(row, "depth", str),
            _of(row, "flops", lambda v: f"{v['total'] / 1e9:.2f}"),
            _of(row, "bytes", lambda v: f"{v / 1e6:.1f}"),
            _of(row, "latency", lambda v: _three(1000 * v["median"])),
            _of(row, "latency", lambda v: _three(1000 * v["p90"])),
            _of(row, "throughput", lambda v: _three(v["images_per_second"])),
            _of(row, "training", lambda v: _three(v["images_per_second"])),
            _of(row, "memory", lambda v: f"{_host_memory(v) / 2**30:.1f}" if _host_memory(v) else _UNKNOWN),
        ]
        for row in profile.rows
    ]


def cost_grid(profile: Profile) -> Grid:
    """Return every figure of the rows, with the papers' accuracy as in their Table 6."""
    batch = profile.settings.batch
    columns = [
        *(
            "variant",
            "input",
            "trainable parameters",
            "all parameters",
            "depth",
            "GFLOPs",
            "multiply-adds (G)",
        ),
        *("weights (MB)", "latency (ms)", "p90 (ms)", f"images/s, batch {batch}"),
        *(f"training images/s, batch {batch}", "memory (MiB)", "published accuracy"),
    ]
    return Grid("Costs", columns, [_full_row(row) for row in profile.rows])


def ratio_line(found: Mapping[str, float | None], first: str, second: str) -> str:
    """Return what the first of two variants saves, as a sentence.

    Args:
        found: As `ratios` returns them.
        first: Name of the first.
        second: Name of the second.
    """
    parts = [f"{COSTS[name]} {value:.3g}x" for name, value in found.items() if value is not None]
    missing = [COSTS[name] for name, value in found.items() if value is None]
    text = f"{second} / {first}: {', '.join(parts) or 'nothing to compare'}"
    return text + (f" (not measured: {', '.join(missing)})" if missing else "")


def render_markdown(profile: Profile, lines: Sequence[str] = ()) -> str:
    """Return a profile as Markdown: table, errors, ratios, conditions and method.

    Args:
        profile: The profile.
        lines: Sentences under the table, such as ratios.
    """
    settings, place = profile.settings, profile.environment
    failed = [row for row in profile.rows if row["error"] is not None]
    loads = [row["load_before"] for row in profile.rows if row.get("load_before") is not None]
    threads = next((row["threads"]["intra_op"] for row in profile.rows if "threads" in row), 0)
    conditions = [
        ("device", profile.device or "unknown"),
        ("processor", f"{place['processor']}, {place['cores']} cores"),
        ("system", f"{place['system']}, Python {place['python']}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in place["packages"].items())),
        ("threads", str(threads or "TensorFlow's choice")),
        ("arithmetic", settings.precision),
        (
            "other load of the machine",
            f"{min(loads):g} to {max(loads):g} before each row" if loads else "unknown",
        ),
        ("chosen for all variants", _choices(settings.choices)),
        (
            "timings",
            f"{settings.warm_up} calls to warm up, then up to {settings.repeats} repeats or "
            f"{settings.seconds:g} s",
        ),
        ("begun", place["started"][:19].replace("T", " ") + " UTC"),
    ]
    text = ["# Costs", ""]
    text += [*markdown_table(cost_grid(profile)), ""]
    text += [f"- {escaped(line)}" for line in lines]
    text += [
        f"- **{escaped(row['variant'])}** ended in stage '{row['stage']}': {escaped(row['error'])}"
        for row in failed
    ]
    text += ["", "## Conditions", ""]
    text += [*markdown_table(Grid("", ["what", "value"], [list(pair) for pair in conditions])), ""]
    text += ["## Method", "", "Every variant is measured in a process of its own.", ""]
    text += [f"- {escaped(name)}: {escaped(rule)}." for name, rule in METHOD.items()]
    text += ["- published accuracy: the first published result, on its own protocol; not measured here."]
    return "\n".join(text) + "\n"


def _full_row(row: Mapping[str, Any]) -> list[str]:
    return [
        row["variant"],
        _of(row, "built", lambda v: f"{v['image_size']} x {v['image_size']}"),
        _of(row, "parameters", lambda v: f"{v['trainable']:,}"),
        _of(row, "parameters", lambda v: f"{v['total']:,}"),
        _of(row, "depth", str),
        _of(row, "flops", lambda v: f"{v['total'] / 1e9:.4g}"),
        _of(row, "flops", lambda v: f"{v['multiply_adds'] / 1e9:.4g}"),
        _of(row, "bytes", lambda v: f"{v / 1e6:.1f}"),
        _of(row, "latency", lambda v: _three(1000 * v["median"])),
        _of(row, "latency", lambda v: _three(1000 * v["p90"])),
        _of(row, "throughput", lambda v: _three(v["images_per_second"])),
        _of(row, "training", lambda v: _three(v["images_per_second"])),
        _of(row, "memory", lambda v: f"{_host_memory(v) / 2**20:,.0f}" if _host_memory(v) else _UNKNOWN),
        _published_accuracy(row["variant"]),
    ]


def _published_accuracy(variant: str) -> str:
    if variant not in registry().names(VariantSpec.kind):
        return _UNKNOWN
    result = headline(registry().get(VariantSpec, variant))
    if result is None:
        return _UNKNOWN
    warning = protocol_warning(result.protocol).partition(":")[0]
    return f"{result.metrics['accuracy']:.4f} ({result.protocol}{', ' + warning if warning else ''})"


def _host_memory(memory: Mapping[str, Any]) -> int:
    found = [memory[stage]["host"] for stage in ("training", "inference") if stage in memory]
    return found[0] or 0 if found else 0


def _choices(choices: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in choices.items()) or "nothing: each variant's own"


def _of(row: Mapping[str, Any], name: str, text: Any) -> str:
    return text(row[name]) if row.get(name) is not None else _UNKNOWN


def _three(value: float) -> str:
    """Return a number with about three digits and without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
