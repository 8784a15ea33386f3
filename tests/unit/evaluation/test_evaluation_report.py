"""The report of an evaluation in a real browser, as Markdown and as JSON."""

import json
import re
import sys

import numpy as np
import pytest
from evaluation_cases import simulated
from html_pages import Page, check_pictures, seen
from PIL import Image

from skinzoo.evaluation.evaluate import Provenance, evaluate
from skinzoo.evaluation.predictions import make_predictions
from skinzoo.evaluation.report import render_html, render_markdown, write_report

PHONE = 360
LEAKY = Provenance(
    name="a-run <b>",
    variant="some variant",
    recipe="some recipe",
    recipe_hash="0123456789ab",
    dataset="ham10000",
    protocol="paper",
    split_hash="fedc" * 16,
    part="test",
    stamps=("leaky", "selection on test"),
    warnings=("The test part also serves as validation part.",),
)
HISTORY = [
    {"epoch": e, "loss": 1 / e, "val_loss": 1.2 / e, "accuracy": 1 - 0.5 / e, "val_accuracy": 0.9 - 0.5 / e}
    for e in range(1, 8)
]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """An evaluation with everything in it: images, groups, calibration and another run."""
    folder = tmp_path_factory.mktemp("images")
    table = simulated(420, seed=60, sharpness=3, facts=True).table()
    table["lesion_id"] = [f"{true}{i % 60}" for i, true in enumerate(table["true"])]
    paths = [folder / f"{i}.jpg" for i in range(8)]
    for i, path in enumerate(paths):
        Image.new("RGB", (300, 225), (200, 150 - 10 * i, 120)).save(path)
    table["image_path"] = [str(paths[i % 8]) if i % 9 else str(folder / "gone.jpg") for i in range(420)]
    table["part"] = "test"
    predictions = make_predictions(table)
    spoilt = np.where(
        (np.arange(420) % 5 == 0)[:, None],
        np.roll(predictions.probabilities, 1, axis=1),
        predictions.probabilities,
    )
    validation = simulated(300, seed=61, sharpness=3).table()
    return evaluate(
        predictions,
        LEAKY,
        validation=make_predictions(validation.assign(image_id="v" + validation["image_id"])),
        against=(predictions.with_probabilities(spoilt), Provenance(name="other.csv")),
        draws=100,
        answer_accuracy=0.8,
        history=HISTORY,
    )


@pytest.fixture(scope="module")
def written(evaluated, tmp_path_factory):
    return write_report(evaluated, tmp_path_factory.mktemp("report") / "rapport é")


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_page_stands_alone_and_names_where_it_comes_from(written):
    html = written.read_text(encoding="utf-8")
    page, text = Page(html), text_of(html)
    assert [a for a in page.addresses if not a.startswith(("data:", "#"))] == []
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)
    for word in ("some variant", "some recipe", "0123456789ab", "fedc" * 16, "paper", "ham10000"):
        assert word in text
    assert "a-run &lt;b&gt;" in html and "<b>" not in html
    assert 'class="card warning" role="alert"' in html and "is leaky" in text
    assert "The test part also serves as validation part." in text


def test_every_figure_and_photo_has_a_text(written):
    images = Page(written.read_text(encoding="utf-8")).images
    assert all(len(image["alt"]) > 10 for image in images)
    plots = " ".join(image["alt"] for image in images if "svg" in image["src"])
    for what in (
        "F1 of each class", "Recall of each class", "Confusion matrix in cases", "in percent", "ROC curves",
        "Precision-recall", "Reliability diagram", "a-run <b> minus other.csv",
        "Learning curves over 7 epochs",
    ):  # fmt: skip
        assert what in plots
    photos = [image for image in images if "jpeg" in image["src"]]
    assert len(photos) >= 12
    assert any("mel taken for nv" in photo["alt"] or "nv taken for mel" in photo["alt"] for photo in photos)


def test_numbers_are_those_of_the_evaluation(evaluated, written):
    text = text_of(written.read_text(encoding="utf-8"))
    scores, intervals = evaluated.by_image.scores, evaluated.by_image.intervals.by_metric
    for name, title in (
        ("accuracy", "Accuracy"),
        ("macro_f1", "Macro F1"),
        ("roc_auc_macro", "ROC-AUC, macro"),
    ):
        interval = intervals[name]
        assert f"{title} {scores.overall[name]:.3f} [{interval.low:.3f}, {interval.high:.3f}]" in text
    test = evaluated.against.tests.mcnemar
    assert f"{test.only_first:,} right in the first only" in text
    assert f"{evaluated.calibrated.sets['coverage']:.1%}" in text


def test_markdown_says_the_same(evaluated, written):
    folder = written.parent
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert markdown == render_markdown(evaluated)
    assert "> **Warning.** The protocol 'paper' is leaky" in markdown
    for word in ("0123456789ab", "fedc" * 16, f"{evaluated.by_image.scores.overall['accuracy']:.3f}"):
        assert word in markdown
    figures = re.findall(r"\]\((figures/\w+\.png)\)", markdown)
    assert len(figures) == len(set(figures)) == 9
    for name in figures:
        with Image.open(folder / name) as image:
            assert image.width > 600 and image.height > 300
            assert len(set(image.convert("L").resize((40, 40)).tobytes())) > 5


def test_json_is_the_evaluation(evaluated, written):
    found = json.loads((written.parent / "report.json").read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(evaluated.to_dict()))
    assert found["provenance"]["leaky"] is True


def test_a_report_is_repeated_letter_for_letter(evaluated, written):
    assert render_html(evaluated) == written.read_text(encoding="utf-8")


def test_a_bare_file_and_absent_classes(tmp_path):
    predictions = simulated(150, seed=62)
    predictions = predictions.rows(predictions.true != 3)
    found = evaluate(predictions, Provenance(name="p.csv"), draws=100)
    html = write_report(found, tmp_path).read_text(encoding="utf-8")
    text = text_of(html)
    assert 'role="alert"' not in html
    assert "do not state the split" in text and "No lesion ids" in text
    assert "No case of df" in text and "df 0 absent absent" in text
    assert "name no image files" in text and "Subgroups" not in text and "Comparison" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="chromium's place is known on Linux only")
@pytest.mark.parametrize("width", [PHONE, 1280])
def test_in_a_browser(written, browser, width):
    address = written.as_uri()
    console, requests = seen(browser, address, width)
    assert console == []
    assert requests == [address]
    check_pictures(browser, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    banner = browser.execute_script(
        "const box = document.querySelector('[role=alert]').getBoundingClientRect();"
        "return [box.top, box.height]"
    )
    assert 0 <= banner[0] < 400 and banner[1] > 40
