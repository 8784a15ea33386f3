"""Tables of README and docs, generated from the registry and from the files in docs/results.

python docs/generate.py           writes them between their markers
python docs/generate.py --check   names the files that would change, and exits with 1
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
MARKER = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def variants() -> str:
    """Return every registered variant."""
    from skinzoo.registry import registry
    from skinzoo.specs import BackboneSpec, VariantSpec

    parts = registry()
    counts = json.loads((ROOT / "plugins" / "skinzoo_zoo" / "counts.json").read_text(encoding="utf-8"))
    rows = []
    for name in parts.names(VariantSpec.kind):
        variant = parts.get(VariantSpec, name)
        backbone = parts.get(BackboneSpec, variant.backbone)
        rows.append(
            [
                f"`{variant.name}`",
                backbone.title,
                str(backbone.input_size),
                f"{sum(counts[name].values()):,}",
                ", ".join(dict.fromkeys(one.source for one in variant.published)),
            ]
        )
    return table(["variant", "backbone", "pixels", "parameters", "published results"], rows)


def protocols() -> str:
    """Return every protocol."""
    from skinzoo.data.protocols import PROTOCOLS

    rows = [
        [
            f"`{one.name}`",
            one.title,
            ", ".join(f"`{key}={value}`" for key, value in one.options.items()),
            "**leaky**" if one.leaky else "",
            one.source,
        ]
        for one in PROTOCOLS.values()
    ]
    return table(["protocol", "what it does", "options", "", "source"], rows)


def recipes() -> str:
    """Return every recipe."""
    from skinzoo.registry import registry
    from skinzoo.specs import RecipeSpec

    parts = registry()
    specs = [parts.get(RecipeSpec, name) for name in parts.names(RecipeSpec.kind)]
    return table(["recipe", "what it is"], [[f"`{one.name}`", one.title] for one in specs])


def results() -> str:
    """Return the results on real images, the newest protocol's names as they stand in the files."""
    rows = []
    for folder, card, evaluation, made in kept():
        overall, intervals = evaluation["by_image"]["overall"], evaluation["by_image"]["intervals"]["metrics"]
        rows.append(
            [
                f"[`{folder.name}`](docs/results/{folder.name}/evaluation.md)",
                f"`{evaluation['provenance']['protocol']}`"
                + (" **leaky**" if evaluation["provenance"]["leaky"] else ""),
                *(
                    with_interval(overall[key], intervals[key])
                    for key in ("balanced_accuracy", "macro_f1", "roc_auc_macro", "accuracy")
                ),
                f"{card['decoding']['size']}",
                f"{card['seconds'] / 60:.0f} min",
                made.get("note", ""),
            ]
        )
    heads = ["run", "protocol", "balanced accuracy", "macro F1", "macro AUC", "accuracy"]
    return table([*heads, "pixels", "training", "note"], rows)


def commands() -> str:
    """Return how each result was made."""
    rows = [
        [
            f"`{folder.name}`",
            f"`{made['command']}`",
            f"`{made['commit']}`",
            f"`{card['recipe']}` {card['recipe_hash']}",
            f"`{evaluation['provenance']['split_hash'][:12]}`",
            str(card["seed"]),
            str(card["weights"]["origin"]),
            f"{card['environment']['processor']}, {card['environment']['cores']} cores",
        ]
        for folder, card, evaluation, made in kept()
    ]
    return table(["run", "command", "commit", "recipe", "split", "seed", "weights", "hardware"], rows)


def ablation() -> str:
    """Return the ablation on cached features."""
    path = RESULTS / "ablation.json"
    if not path.exists():
        return ""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for run in found["results"]["runs"]:
        validation = run["validation"]
        rows.append(
            [
                run["arm"],
                str(run["seed"]),
                f"{validation['val_balanced_accuracy']:.3f}",
                f"{validation['val_macro_f1']:.3f}",
                *(
                    with_interval(run["test"][key]["value"], run["test"][key])
                    for key in ("balanced_accuracy", "macro_f1", "roc_auc_macro")
                ),
            ]
        )
    heads = ["changed", "seed", "validation balanced accuracy", "validation macro F1"]
    return (
        table([*heads, "test balanced accuracy", "test macro F1", "test macro AUC"], rows)
        + f"\n`{found['command']}`, commit `{found['commit']}`.\n"
    )


def cli() -> str:
    """Return every command with its options."""
    import click
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from skinzoo.cli.app import app

    command = get_command(app)
    with click.Context(command, info_name="skinzoo") as context:
        return get_docs_for_click(obj=command, ctx=context, name="skinzoo").strip() + "\n"


def kept() -> Iterator[tuple[Path, dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Yield each kept run's folder, card, evaluation and how it was made."""
    for made in sorted(RESULTS.glob("*/result.json")):
        folder = made.parent
        if (folder / "card.json").exists():
            files = ("card.json", "evaluation.json", "result.json")
            card, evaluation, how = (
                json.loads((folder / name).read_text(encoding="utf-8")) for name in files
            )
            yield folder, card, evaluation, how


def with_interval(value: float, interval: dict[str, Any]) -> str:
    """Return a value with its 95 percent interval."""
    return f"{value:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


GENERATORS: dict[str, Callable[[], str]] = {
    "variants": variants,
    "protocols": protocols,
    "recipes": recipes,
    "results": results,
    "commands": commands,
    "ablation": ablation,
    "cli": cli,
}


def generated(path: Path) -> str:
    """Return a file's text with its tables written anew."""
    in_docs = path.is_relative_to(ROOT / "docs")

    def fill(match: re.Match[str]) -> str:
        body = GENERATORS[match[2]]()
        if in_docs:
            up = "../" * (len(path.relative_to(ROOT / "docs").parts) - 1)
            body = body.replace("](docs/", f"]({up}")
        return f"{match[1]}{body}{match[3]}"

    return MARKER.sub(fill, path.read_text(encoding="utf-8"))


def pages() -> list[Path]:
    """Return the files that may hold generated tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def main() -> None:
    """Write or check every page."""
    stale = [path for path in pages() if generated(path) != path.read_text(encoding="utf-8")]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(
                "Run `python docs/generate.py`: " + ", ".join(p.relative_to(ROOT).as_posix() for p in stale)
            )
        return
    for path in stale:
        path.write_text(generated(path), encoding="utf-8")


if __name__ == "__main__":
    main()
