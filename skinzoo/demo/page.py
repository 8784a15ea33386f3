"""What the demo sends, and the page that it leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinzoo import __version__
from skinzoo.demo.chain import CASES_FILE, DATA_REPORT, EXPLANATION, RESULTS_FILE, RUN, RUNS, SAMPLE
from skinzoo.export.names import ABSTAIN, PREDICTED_CLASS
from skinzoo.files import replacing
from skinzoo.pages.page import Grid, render_page, thumbnail

if TYPE_CHECKING:
    from skinzoo.demo.chain import Demo

CASES = 12
WITHOUT_METADATA = 4
COLUMNS = ("image", "age", "sex", "localization")
SCORES = (
    ("balanced_accuracy", "Balanced accuracy"),
    ("macro_f1", "Macro F1"),
    ("roc_auc_macro", "Macro AUC"),
    ("accuracy", "Accuracy"),
)


def write_cases(demo: Demo) -> None:
    """Write cases of the test part as a table for `skinzoo predict`; the last ones know no metadata."""
    table = test_cases(demo)
    with (demo.folder / CASES_FILE).open("w", newline="", encoding="utf-8") as stream:
        rows = csv.DictWriter(stream, COLUMNS)
        rows.writeheader()
        for number, case in enumerate(table):
            known = number < len(table) - WITHOUT_METADATA
            path = Path(case["image_path"]).resolve().relative_to(demo.folder.resolve())
            facts = {name: case[name] for name in COLUMNS[1:]} if known else {}
            rows.writerow({"image": path.as_posix(), **facts})


def test_cases(demo: Demo) -> list[dict[str, Any]]:
    """Return some cases of the test part, as they stand in the canonical table."""
    from skinzoo.data.read import read_dataset
    from skinzoo.data.splits import Split

    split = Split.load(demo.folder / RUNS / RUN / "split.json")
    table = read_dataset(demo.folder / SAMPLE)
    test = table[table["image_id"].map(split.assignment) == "test"]
    # The classes in turn.
    chosen = test.iloc[test.groupby("label").cumcount().argsort(kind="stable")].head(CASES)
    return [dict(zip(map(str, chosen.columns), row, strict=True)) for row in chosen.itertuples(index=False)]


def answered(demo: Demo) -> list[tuple[dict[str, Any], dict[str, str], bool]]:
    """Return each case that was sent, its row of the results, and whether its metadata were sent."""
    with (demo.folder / RESULTS_FILE).open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    cases = test_cases(demo)
    known = len(cases) - WITHOUT_METADATA
    return [(case, row, i < known) for i, (case, row) in enumerate(zip(cases, rows, strict=True))]


def write_page(demo: Demo, *, seconds: float) -> Path:
    """Write the page that shows what came out and links to the reports.

    Args:
        demo: The demo, all of whose commands have run.
        seconds: How long they took.
    """
    evaluation_folder = demo.folder / RUNS / RUN / "evaluation" / "test"
    evaluation = json.loads((evaluation_folder / "report.json").read_text(encoding="utf-8"))
    overall = evaluation["by_image"]["overall"]
    photos = [
        thumbnail(Path(case["image_path"]), f"drawn lesion {case['image_id']}", _caption(case, row, known))
        for case, row, known in answered(demo)
    ]
    reports = [
        ("What the data are", DATA_REPORT),
        ("What the model is worth", (evaluation_folder / "report.html").relative_to(demo.folder).as_posix()),
        ("Where it looks", f"{EXPLANATION}/{_page_in(demo.folder / EXPLANATION)}"),
    ]
    html = render_page(
        "skinzoo.demo",
        "demo.html.j2",
        version=__version__,
        tiles=[(title, f"{overall[name]:.3f}") for name, title in SCORES],
        cases=evaluation["by_image"]["cases"],
        reports=reports,
        photos=photos,
        commands=Grid(
            "Commands",
            ("what", "command"),
            [(step.title, step.command) for step in demo.steps()],
        ),
        seconds=seconds,
    )
    with replacing(demo.page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return demo.page


def _page_in(folder: Path) -> str:
    return next(path.name for path in sorted(folder.glob("*.html")))


def _caption(case: dict[str, Any], answer: dict[str, str], known: bool) -> str:
    predicted = answer[PREDICTED_CLASS]
    probability = float(answer[f"p_{predicted}"])
    metadata = "with metadata" if known else "without metadata"
    doubt = ", too unsure to answer" if abstains(answer) else ""
    return f"{case['label']}, answered {predicted} ({probability:.2f}){doubt}, {metadata}"


def abstains(answer: dict[str, str]) -> bool:
    """Whether the calibrated probability was too low for an answer."""
    return answer.get(ABSTAIN, "").lower() in ("1", "true")
