"""Tables of README and docs, generated from the registry and from the files in docs/results.

python docs/generate.py           writes them between their markers
python docs/generate.py --check   names the files that would change, and exits with 1
"""

from __future__ import annotations

import csv
import functools
import json
import operator
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
BENCHMARKS = RESULTS / "benchmarks"
HEADLINE = ("balanced_accuracy", "macro_f1", "roc_auc_macro", "accuracy")
BOUNDS = {"at least": operator.ge, "above": operator.gt, "at most": operator.le, "below": operator.lt}
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
    from skinzoo.published import protocol_warning

    rows = [
        [
            f"`{one.name}`",
            one.title,
            ", ".join(f"`{key}={value}`" for key, value in one.options.items()),
            protocol_warning(one.name),
            one.source,
        ]
        for one in PROTOCOLS.values()
    ]
    return table(["protocol", "what it does", "options", "why its numbers are too high", "source"], rows)


def recipes() -> str:
    """Return every recipe."""
    from skinzoo.registry import registry
    from skinzoo.specs import RecipeSpec

    parts = registry()
    specs = [parts.get(RecipeSpec, name) for name in parts.names(RecipeSpec.kind)]
    return table(["recipe", "what it is"], [[f"`{one.name}`", one.title] for one in specs])


def results() -> str:
    """Return the results on real images, protocols by the names that stand in the files."""
    rows, notes = [], []
    for folder, card, evaluation, made in kept():
        rows.append(
            [
                f"[`{folder.name}`](docs/results/{folder.name}/evaluation.md)",
                f"`{evaluation['provenance']['protocol']}`"
                + (" **leaky**" if evaluation["provenance"]["leaky"] else ""),
                *headline_of(evaluation),
                f"{card['decoding']['size']}",
                f"{card['seconds'] / 60:.0f} min",
            ]
        )
        if made.get("note"):
            notes.append(f"- `{folder.name}`: {made['note']}")
    heads = ["run", "protocol", "balanced accuracy", "macro F1", "macro AUC", "accuracy"]
    return table([*heads, "pixels", "training"], rows) + "\n" + "\n".join(notes) + "\n"


def commands() -> str:
    """Return how each result was made."""
    texts, rows = [], []
    for folder, card, evaluation, made in kept():
        texts.append(f"`{folder.name}`:\n\n```text\n{made['command']}\n```\n")
        rows.append(
            [
                f"`{folder.name}`",
                f"`{made['commit'][:7]}`",
                f"`{card['recipe']}` {' + '.join(one[:8] for one in card['recipe_hash'].split(' + '))}",
                f"`{evaluation['provenance']['split_hash'][:12]}`",
                "" if card["seed"] is None else str(card["seed"]),
                str(card["weights"]["origin"]),
                f"{card['environment']['processor']}, {card['environment']['cores']} cores",
            ]
        )
    heads = ["run", "commit", "recipe", "split", "seed", "weights", "hardware"]
    return table(heads, rows) + "\n" + "\n".join(texts)


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
    return table([*heads, "test balanced accuracy", "test macro F1", "test macro AUC"], rows) + made_by(found)


def arms() -> str:
    """Return the short trainings behind the default recipe."""
    path = RESULTS / "arms.json"
    if not path.exists():
        return ""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for run in found["results"]["runs"]:
        last = run["last_epoch"]
        rows.append(
            [
                run["arm"],
                *(
                    f"{last[name]:.3f}"
                    for name in ("loss", "val_loss", "val_balanced_accuracy", "val_macro_f1")
                ),
                with_interval(run["roc_auc_macro"]["value"], run["roc_auc_macro"]),
            ]
        )
    heads = ["changed", "training loss", "validation loss", "balanced accuracy", "macro F1"]
    return table([*heads, "macro AUC of the best epoch"], rows) + made_by(found)


def plain() -> str:
    """Return the plain Keras script epoch by epoch, and paired differences of kept runs to its end."""
    found = json.loads((RESULTS / "plain_keras" / "result.json").read_text(encoding="utf-8"))
    epochs = found["results"]["epochs"]
    rows = [
        [
            f"plain script, epoch {one['epoch']} of {len(epochs)}",
            *(f"{one[key]:.3f}" for key in HEADLINE),
            f"{one['training_seconds'] / 60:.0f} min",
        ]
        for one in epochs
        if one["epoch"] % 2 == 0
    ]
    for folder, card, evaluation, _ in kept():
        if evaluation["against"] is None:
            continue
        scores, tests = evaluation["by_image"]["overall"], evaluation["against"]["tests"]["differences"]
        minutes = f"{card['seconds'] / 60:.0f} min"
        rows.append([f"`{folder.name}`", *(f"{scores[key]:.3f}" for key in HEADLINE), minutes])
        rows.append(
            [
                f"`{folder.name}` less the plain script's end",
                *(difference(tests[key]) for key in HEADLINE),
                "",
            ]
        )
    heads = ["what", "balanced accuracy", "macro F1", "macro AUC", "accuracy", "training"]
    return table(heads, rows) + made_by(found)


def leak() -> str:
    """Return published rows beside kept runs of the same variant and protocol, and these beside honest twins.

    A run is named VARIANT-SIZE-PROTOCOL; its twin, trained alike, VARIANT-SIZE-lesion.
    """
    from skinzoo.published import published_value
    from skinzoo.registry import registry
    from skinzoo.specs import VariantSpec

    runs = {folder.name: (card, evaluation) for folder, card, evaluation, _ in kept()}
    rows = []
    for name, (card, evaluation) in runs.items():
        provenance = evaluation["provenance"]
        stem, _, protocol = name.rpartition("-")
        if not provenance["leaky"] or protocol != provenance["protocol"]:
            continue
        for published in registry().get(VariantSpec, card["variant"]["variant"]).published:
            if published.protocol == protocol:
                values = [published_value(published, key) for key in HEADLINE]
                row = ["" if value is None else f"{value:.3f}" for value in values]
                source = ", ".join(filter(None, (published.source, published.run)))
                rows.append([source, f"`{protocol}` **leaky**", *row])
        rows.append([f"`{name}`", f"`{protocol}` **leaky**", *headline_of(evaluation)])
        if twin := runs.get(f"{stem}-lesion"):
            rows.append([f"`{stem}-lesion`", "`lesion`", *headline_of(twin[1])])
    return table(["run", "protocol", "balanced accuracy", "macro F1", "macro AUC", "accuracy"], rows)


def validated() -> str:
    """Return what kept trainings on whole lesions reached on the validation part."""
    rows = []
    for folder, card, evaluation, epochs in trainings():
        if evaluation["provenance"]["protocol"] != "lesion":
            continue
        best = epochs[card["best_epoch"] - 1]
        rows.append(
            [
                f"`{folder.name}`",
                f"{card['best_epoch']} of {len(epochs)}",
                *(
                    f"{float(best[name]):.3f}"
                    for name in ("val_balanced_accuracy", "val_macro_f1", "val_accuracy", "val_loss")
                ),
                f"{card['seconds'] / 60:.0f} min",
            ]
        )
    heads = ["run", "best epoch", "balanced accuracy", "macro F1", "accuracy", "loss", "training"]
    return table(heads, rows)


def epochs() -> str:
    """Return what the validation part loses in each score where another one chooses the epoch.

    Of kept trainings by the default recipe, epochs on smaller images and of the head alone left out.
    """
    scores = ("val_balanced_accuracy", "val_macro_f1", "val_accuracy", "val_loss")
    words = {name: name.removeprefix("val_").replace("_", " ").replace("f1", "F1") for name in scores}
    histories = []
    for _, card, _, found in trainings():
        if card["recipe"] != "default":
            continue
        rows = [row for row in found if row["phase"] == "whole"]
        # A loss is better where it is lower.
        histories.append(
            [{name: float(row[name]) * (-1 if name == "val_loss" else 1) for name in scores} for row in rows]
        )
    lines = []
    for chooser in scores:
        lost = dict.fromkeys(scores, 0.0)
        for rows in histories:
            chosen = max(rows, key=operator.itemgetter(chooser))
            for name in scores:
                lost[name] += (max(row[name] for row in rows) - chosen[name]) / len(histories)
        lines.append([words[chooser], *(f"{lost[name]:.3f}" for name in scores)])
    heads = [
        "chosen by",
        *(f"lost of {words[name]}" if name != "val_loss" else "added to loss" for name in scores),
    ]
    return table(heads, lines) + f"\nMeans of {len(histories)} trainings.\n"


def attention() -> str:
    """Return what trainings without attention gain on the validation part over the same with it."""
    found = json.loads((RESULTS / "attention.json").read_text(encoding="utf-8"))
    rows = [
        [
            f"`{pair['run']}` less `{pair['other']}`",
            *(difference(pair["differences"][key]) for key in HEADLINE),
        ]
        for pair in found["results"]["pairs"]
    ]
    heads = ["without attention less with it", "balanced accuracy", "macro F1", "macro AUC", "accuracy"]
    return table(heads, rows) + made_by(found)


def headline_of(evaluation: dict[str, Any]) -> list[str]:
    """Return the four numbers of an evaluation with their intervals."""
    overall, intervals = evaluation["by_image"]["overall"], evaluation["by_image"]["intervals"]["metrics"]
    return [with_interval(overall[key], intervals[key]) for key in HEADLINE]


def formats() -> str:
    """Return what other formats of an export cost."""
    found = json.loads((BENCHMARKS / "export.json").read_text(encoding="utf-8"))
    measured = found["results"]
    rows = [["Keras", "", f"{measured['keras']['accuracy']:.3f}", "", ""]]
    for name, row in sorted(measured.items()):
        if isinstance(row, dict) and "bytes" in row:
            size, same = f"{row['bytes'] / 1e6:.1f} MB", f"{row['same_class']} of {measured['cases']}"
            rows.append(
                [f"`{name}`", size, f"{row['accuracy']:.3f}", same, f"{row['speed_ratio_to_keras']:.1f}"]
            )
    heads = ["", "size", "accuracy", "same class as Keras", "speed, Keras = 1"]
    return table(heads, rows) + made_by(found)


def masks() -> str:
    """Return how well maps agree with lesion masks."""
    path = RESULTS / "masks" / "agreement.json"
    if not path.exists():
        return ""
    found = json.loads(path.read_text(encoding="utf-8"))
    names = ("share", "pointing", "iou")
    rows = [
        [method, *(with_interval(scores[name]["value"], scores[name]["interval"]) for name in names)]
        for method, scores in found["methods"].items()
    ]
    return table(["map", "share inside the lesion", "pointing game", "IoU, one threshold for all"], rows)


def benchmarks(folder: Path = BENCHMARKS) -> str:
    """Return the ratios of the benchmarks in a folder, each with its target."""
    rows, made = [], {}
    for name, what, target, read in RATIOS:
        path = folder / f"{name}.json"
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            load = found["hardware"]["load_at_start"]
            measured = read(found["results"])
            rows.append([what, measured, target, missed(measured, target), f"`{name}.json`", f"{load:.1f}"])
            made[f"`{name}.json`: `{found['command']}`"] = None
    heads = ["what", "measured", "target", "missed by", "file", "load at start"]
    return table(heads, rows) + "\n" + "\n".join(f"- {line}" for line in made) + "\n"


def missed(measured: str, target: str) -> str:
    """Return which of the numbers of a row miss its target."""
    words, _, bound = target.rpartition(" ")
    if words not in BOUNDS:
        return ""
    parts = [part.rpartition(" ") for part in measured.split(", ")]
    wrong = [
        name or value
        for name, _, value in parts
        # What is not reached is no number.
        if not value[0].isdigit() or not BOUNDS[words](float(value), float(bound))
    ]
    return ", ".join(wrong)


def leak_kinds() -> str:
    """Return the scores of images whose lesion was trained on, beside those of the others."""
    found = json.loads((RESULTS / "leak.json").read_text(encoding="utf-8"))
    rows = [
        [
            f"`{name}`",
            kind,
            str(scores["images"]),
            *(
                with_interval(scores[key]["value"], scores[key]["interval"])
                for key in ("balanced_accuracy", "roc_auc_macro", "accuracy")
            ),
        ]
        for name, run in found["results"].items()
        for kind, scores in run["kinds"].items()
    ]
    heads = ["run", "images whose lesion has", "images", "balanced accuracy", "macro AUC", "accuracy"]
    return table(heads, rows) + made_by(found)


def costs() -> str:
    """Return what every variant costs, and how many times as much the papers' largest than their smallest."""
    from skinzoo.profile.record import COSTS

    found = json.loads((BENCHMARKS / "costs.json").read_text(encoding="utf-8"))
    measured = found["results"]
    first, second = measured["ratio_of"]
    rows = [
        [
            f"`{row['variant']}`",
            str(row["built"]["image_size"]),
            f"{row['parameters']['total']:,}",
            f"{row['flops']['multiply_adds'] / 1e9:.2f}",
            f"{1000 * row['latency']['median']:.1f}",
            f"{row['throughput']['images_per_second']:.1f}",
            f"{row['training']['images_per_second']:.1f}" if "training" in row else "more memory than here",
        ]
        for row in sorted(measured["profile"]["rows"], key=lambda row: row["variant"])
        if row["error"] is None or row["stage"] == "training"
    ]
    batch = measured["profile"]["settings"]["batch"]
    heads = ["variant", "pixels", "parameters", "multiply-adds (G)", "latency of one image (ms)"]
    heads += [f"images a second, batch {batch}", f"training images a second, batch {batch}"]
    times = ", ".join(f"{COSTS[name]} {value:.3g}" for name, value in measured["ratios"].items() if value)
    claim = f"\n`{second}` costs this many times as much as `{first}`, by image: {times}.\n"
    return table(heads, rows) + claim + made_by(found)


def sizing() -> str:
    """Return what a core serves, and what a million images a day need."""
    rows = []
    for path in sorted(BENCHMARKS.glob("serve*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        measured = found["results"]
        # Parts of the benchmark that measure something else.
        if "images_per_second_served" not in measured:
            continue
        # What the server's processor time allows, whoever else is on the machine.
        by_core = 1000 / measured["cpu_ms_per_image_server"]
        cores = 1e6 / SECONDS_A_DAY / BUSY / by_core
        rows.append(
            [
                f"`{measured['model']}`",
                f"{measured['images_per_second_served']:.0f} on {found['hardware']['cores']} cores",
                f"{measured['cpu_ms_per_image_server']:.1f} ms",
                f"{by_core:.0f}",
                f"{measured['latency_ms_served']:.0f} ms",
                f"{measured['peak_memory']['server_mib']:,} MiB",
                f"{by_core * SECONDS_A_DAY / 1e6:.1f} million",
                f"{cores:.2f}",
            ]
        )
    heads = [
        "model", "images a second, 32 callers", "processor time an image", "images a second and core",
        "a lone caller waits", "most memory", "images a day and core, always busy",
        f"cores for a million a day, {BUSY:.0%} busy",
    ]  # fmt: skip
    return table(heads, rows)


def measured(name: str) -> tuple[dict[str, Any], int]:
    """Return a benchmark's results, and the cores that they were measured on."""
    found = json.loads((BENCHMARKS / f"{name}.json").read_text(encoding="utf-8"))
    return found["results"], found["hardware"]["cores"]


def scale_training() -> str:
    """Return what training on many images takes, from what a core was measured to do."""
    speeds, cores = measured("train")
    counts = json.loads((ROOT / "plugins" / "skinzoo_zoo" / "counts.json").read_text(encoding="utf-8"))
    rows = []
    for name, row in sorted(speeds["variants"].items()):
        by_core = row["ours_steps_per_second"] * row["batch_size"] / cores
        hours = MANY_IMAGES / by_core / 3600
        megabytes = 4 * sum(counts[name].values()) / 1e6
        rows.append(
            [
                f"`{name}`",
                f"{by_core:.1f}",
                f"{hours:.1f}",
                f"{hours * EPOCHS:,.0f}",
                f"{hours * EPOCHS / 64 / 24:.1f}",
                f"{2 * megabytes:.0f} MB",
            ]
        )
    heads = [
        "variant", "images a second and core", f"core hours an epoch of {MANY_IMAGES:,}",
        f"core hours of {EPOCHS} epochs", "days on 64 cores", "a worker sends and receives a step, at most",
    ]  # fmt: skip
    return table(heads, rows)


def scale_input() -> str:
    """Return what holding many images decoded takes."""
    found, cores = measured("input")
    building, reading = found["building"]["cache on disk"], found["reading"]["skinzoo, papers' augmentation"]
    size = found["size"]
    rows = [
        ["decoded images on disk", f"{MANY_IMAGES * size * size * 3 / 1e9:.0f} GB at {size} pixels"],
        [
            "decoding them once",
            f"{MANY_IMAGES / building['images_per_second'] / 60:.0f} minutes on {cores} cores",
        ],
        [
            "augmented images for training",
            f"{reading['images_per_second']:.0f} a second on {cores} cores",
        ],
        [
            "memory of the input pipeline beyond TensorFlow and the page cache",
            f"{found['ratios']['private_gib_beyond_tensorflow']:.2f} GiB",
        ],
    ]
    return table(["what", "takes"], rows)


def scale_inference() -> str:
    """Return what ten million answers a day take, by server and by batch."""
    served, cores = measured("serve")
    rows = [
        inference_row(
            "server in the box, 32 callers", served["model"], 1000 / served["cpu_ms_per_image_server"]
        )
    ]
    for name, what in (("batch", "`skinzoo predict --server`"), ("ray_batch", "`skinzoo predict --ray`")):
        if (BENCHMARKS / f"{name}.json").exists():
            found, cores = measured(name)
            speed = found.get("served_cases_per_second") or found["ray_cases_per_second"]
            rows.append(inference_row(what, found.get("model", served["model"]), speed / cores))
    heads = [
        "path",
        "model",
        "answers a second and core",
        f"cores for {MANY_ANSWERS:,} a day, {BUSY:.0%} busy",
    ]
    return table(heads, rows)


def inference_row(what: str, model: str, by_core: float) -> list[str]:
    """Return a path's row."""
    return [what, f"`{model}`", f"{by_core:.0f}", f"{MANY_ANSWERS / SECONDS_A_DAY / BUSY / by_core:.1f}"]


def by_variant(found: dict[str, Any], key: str) -> str:
    """Return a figure of each variant."""
    return ", ".join(
        f"`{name}` {row[key]:.2f}" if row.get(key) is not None else f"`{name}` not reached"
        for name, row in found["variants"].items()
    )


def against(found: dict[str, Any], callers: int, key: str) -> str:
    """Return a ratio of each pair of servers at a number of callers; our own REST is no peer of our gRPC."""
    pairs = [(pair, ratios) for pair, ratios in found["ratios"].items() if "skinzoo rest" not in pair]
    return ", ".join(f"{pair} {by_callers[str(callers)][key]:.2f}" for pair, by_callers in pairs)


def made_by(found: dict[str, Any]) -> str:
    """Return how a benchmark was made."""
    load = found["hardware"]["load_at_start"]
    return f"\n`{found['command']}`, commit `{found['commit']}`, load {load:.1f} at the start.\n"


def cli() -> str:
    """Return every command with its options."""
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from skinzoo.cli.app import app

    command = get_command(app)
    with command.context_class(command, info_name="skinzoo") as context:
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


def trainings() -> Iterator[tuple[Path, dict[str, Any], dict[str, Any], list[dict[str, str]]]]:
    """Yield each kept training's folder, card, evaluation and epochs.

    Ensembles have none, and another evaluation of the same training bears that one's name.
    """
    for folder, card, evaluation, _ in kept():
        history = folder / "history.csv"
        if history.exists() and card["name"] == folder.name:
            with history.open(newline="", encoding="utf-8") as stream:
                yield folder, card, evaluation, list(csv.DictReader(stream))


def with_interval(value: float, interval: dict[str, Any]) -> str:
    """Return a value with its 95 percent interval."""
    return f"{value:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


def difference(found: dict[str, Any]) -> str:
    """Return a difference with its 95 percent interval."""
    interval = found["interval"]
    return f"{found['value']:+.3f} [{interval['low']:+.3f}, {interval['high']:+.3f}]"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


SECONDS_A_DAY = 86_400
MANY_IMAGES, EPOCHS, MANY_ANSWERS = 500_000, 12, 10_000_000
"""What docs/scale.md plans for: training images, epochs of the default recipe, answers a day."""
BUSY = 0.6
"""Part of its time that a server is busy, as the autoscaler in `serving/` keeps it."""

# File, what it says, target, and how it is read from the file's results.
RATIOS: tuple[tuple[str, str, str, Callable[[Any], str]], ...] = (
    (
        "startup",
        "median seconds of `skinzoo list`",
        "below 0.3",
        lambda found: next(
            f"{row['median_s']:.2f}"
            for row in found["conditions"]["all_bytecode"]
            if row["command"] == "skinzoo list"
        ),
    ),
    (
        "train",
        "steps per second of training against bare `train_on_batch`",
        "at least 0.97",
        lambda found: by_variant(found, "ratio"),
    ),
    (
        "train",
        "seconds from the command to the first step",
        "",
        lambda found: by_variant(found, "first_step"),
    ),
    (
        "frozen",
        "time of a fine-tuned epoch against that of training on features to the same balanced accuracy",
        "at least 5",
        lambda found: by_variant(found, "ratio"),
    ),
    (
        "evaluate",
        "evaluating against the model's own batch throughput",
        "at least 0.9",
        lambda found: f"{found['predicting']['ratio']:.2f}",
    ),
    (
        "serve",
        "throughput at 32 callers against the SavedModel in process",
        "at least 0.9",
        lambda found: f"{found['throughput_ratio']:.2f}",
    ),
    (
        "serve",
        "milliseconds that a lone caller waits longer than in process",
        "at most 2",
        lambda found: f"{found['latency_added_ms']:.1f}",
    ),
    (
        "serve",
        "first request against the median",
        "at most 2",
        lambda found: f"{found['first_request_ratio']:.2f}",
    ),
    (
        "batch",
        "cases a second of a whole dataset through the server against in process",
        "at least 0.8",
        lambda found: f"{found['ratio']:.2f}",
    ),
    (
        "input",
        "building the image cache against a bare loop",
        "at least 0.8",
        lambda found: f"{found['ratios']['building_to_bare_loop']:.2f}",
    ),
    (
        "ray_batch",
        "cases a second of a whole dataset by two Ray workers against one process on all cores",
        "at least 0.9",
        lambda found: f"{found['ratio']:.2f}",
    ),
    (
        "workers",
        "images a second of a training that two workers share against one process",
        "",
        lambda found: f"`{found['variant']}` {found['ratio']:.2f}",
    ),
    (
        "serve-engines",
        "throughput at 32 callers, engine `openvino` against `tensorflow`",
        "at least 2",
        lambda found: against(found, 32, "throughput"),
    ),
    (
        "serve-stages",
        "images a second that decoding and the network, one after the other, allow in each engine",
        "",
        lambda found: ", ".join(f"{name} {speed:.0f}" for name, speed in found["decode_and_network"].items()),
    ),
    *(
        (
            "serve-peers",
            f"{what} at {count} caller{'s'[: count - 1]}, skinzoo against each peer",
            target,
            functools.partial(against, callers=count, key=key),
        )
        for key, what, target in (("throughput", "throughput", "above 1"), ("p99", "p99", "below 1"))
        for count in (1, 8, 32)
    ),
    (
        "serve-overload",
        "p99 of accepted requests at 4 times capacity against the normal one",
        "at most 2",
        lambda found: f"{found['overload_accepted_p99_ratio']:.2f}",
    ),
    (
        "serve-soak",
        "half an hour at 80 percent of capacity: share of errors; p99 and memory, last quarter to first",
        "0; 1; 1",
        lambda found: (
            f"{found['error_rate']:g}; {found['p99_last_quarter_to_first']:.2f}; "
            f"{found['memory_last_quarter_to_first']:.2f}"
        ),
    ),
)

GENERATORS: dict[str, Callable[[], str]] = {
    "variants": variants,
    "protocols": protocols,
    "recipes": recipes,
    "results": results,
    "commands": commands,
    "ablation": ablation,
    "arms": arms,
    "plain": plain,
    "leak": leak,
    "leak-kinds": leak_kinds,
    "costs": costs,
    "validated": validated,
    "epochs": epochs,
    "attention": attention,
    "formats": formats,
    "masks": masks,
    "benchmarks": benchmarks,
    "sizing": sizing,
    "scale-training": scale_training,
    "scale-input": scale_input,
    "scale-inference": scale_inference,
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
