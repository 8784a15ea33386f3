"""What `skinzoo data audit` prints for people."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skinzoo.cli import render
from skinzoo.data.audit import SEVERITIES
from skinzoo.data.duplicates import SIMILARITY

if TYPE_CHECKING:
    from skinzoo.data.audit import AuditReport, Finding

SIMILARITY_MEANING = (
    "similarity: height of the phase-correlation peak, 0 to 1; equal pictures have 1, pairs count from "
    f"{SIMILARITY:g}, small images from more"
)


def print_audit(report: AuditReport, examples: int) -> None:
    """Print an audit: counts, then every finding with some examples and what to do.

    Args:
        report: What was found.
        examples: How many items to print of each finding.
    """
    lesions = render.number_of(report.lesions, "lesion") if report.lesions else "no lesion ids"
    render.heading(
        f"{report.dataset}: {render.number_of(report.images, 'image')}, {lesions}, "
        f"{len(report.class_counts)} class{'' if len(report.class_counts) == 1 else 'es'}"
    )
    render.paragraph(", ".join(f"{name} {number:,}" for name, number in report.class_counts.items()))
    render.line()
    if report.findings:
        width = max(30, render.width() - max(map(len, SEVERITIES)) - 2)
        render.rows([[finding.severity, _text(finding, examples, width)] for finding in report.findings])
        render.line()
    render.paragraph(_summary(report))


def _text(finding: Finding, examples: int, width: int) -> str:
    lines = [_item(item) for item in finding.items[:examples]]
    if lines and "similarity" in finding.items[0]:
        lines.insert(0, SIMILARITY_MEANING)
    rest = len(finding.items) - examples
    if rest > 0 and examples:
        lines.append(f"and {rest:,} more (all with --json)")
    if finding.hint:
        lines.append(f"-> {finding.hint}")
    wrapped = [textwrap.fill(finding.message, width, break_on_hyphens=False)]
    wrapped += [
        textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
        for line in lines
    ]
    return "\n".join(wrapped)


def _item(item: Mapping[str, Any]) -> str:
    if "image_ids" in item:
        return _same(item)
    if "reason" in item:
        return f"{item.get('image_id') or item.get('path', '')}: {item['reason']}"
    return ", ".join(f"{name} {_value(value)}" for name, value in item.items())


def _same(item: Mapping[str, Any]) -> str:
    parts = item.get("parts") or [""] * len(item["image_ids"])
    names = [
        f"{image} ({', '.join(filter(None, (lesion, label, part)))})"
        for image, lesion, label, part in zip(
            item["image_ids"], item["lesion_ids"], item["labels"], parts, strict=True
        )
    ]
    text = " = ".join(names) if "similarity" not in item else " ~ ".join(names)
    if "similarity" not in item:
        return text
    turned = "" if item["orientation"] == "upright" else f", {item['orientation']}"
    return f"{text}, similarity {item['similarity']:.2f}{turned}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _summary(report: AuditReport) -> str:
    counts = ", ".join(
        f"{number} {severity}{'' if number == 1 else 's'}"
        for severity, number in report.severity_counts.items()
    )
    if not report.split:
        return f"{counts}."
    if report.leaks:
        verdict = "leaks"
    elif report.of_kind("near-duplicates-cross-split"):
        verdict = "does not leak by lesion id; images that look the same lie in different parts"
    else:
        verdict = "does not leak"
    return f"{counts}. The split {report.split[:12]} {verdict}."
