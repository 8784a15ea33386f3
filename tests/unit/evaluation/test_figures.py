"""What the figures draw, read back from matplotlib's own objects."""

import numpy as np
import pytest
from evaluation_cases import CLASSES, PUBLISHED, of_confusion, simulated

from skinzoo.evaluation import figures
from skinzoo.evaluation.calibration import reliability
from skinzoo.evaluation.intervals import bootstrap
from skinzoo.evaluation.metrics import compute_scores


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_the_confusion_matrix_holds_the_counts_or_the_percents_of_its_rows():
    scores = compute_scores(of_confusion(PUBLISHED))
    counts, percents = (figures.confusion_picture(scores, normalised=n).figure.axes[0] for n in (False, True))
    assert texts(counts) == [f"{n:,}" for n in PUBLISHED.ravel()]
    assert texts(percents)[:3] == ["61", "12", "15"]
    assert texts(percents)[5 * 7] == "<1"
    assert [label.get_text() for label in counts.get_xticklabels()][:7] == list(CLASSES)
    assert counts.get_ylabel() == "True class" and counts.get_xlabel() == "Predicted class"


def test_an_absent_class_has_an_empty_row_and_no_curve():
    predictions = simulated(200, seed=1)
    predictions = predictions.rows(predictions.true != 3)
    scores = compute_scores(predictions)
    percents = figures.confusion_picture(scores, normalised=True).figure.axes[0]
    assert texts(percents)[21:28] == [""] * 7
    roc = figures.roc_picture(predictions, scores)
    labels = [text.get_text() for text in roc.figure.axes[0].get_legend().get_texts()]
    assert len(labels) == 6 and not [label for label in labels if label.startswith("df")]
    assert roc.note == "No case of df." and "df undefined" in roc.alt
    bars = figures.class_bars_picture("f1", "F1", scores)
    assert "no case" in texts(bars.figure.axes[0])


def test_the_area_under_a_drawn_curve_is_the_one_in_the_legend():
    predictions = simulated(300, seed=2)
    scores = compute_scores(predictions)
    axes = figures.roc_picture(predictions, scores, bootstrap(predictions, draws=100).by_metric).figure.axes[
        0
    ]
    for line, name in zip(axes.lines[1:], CLASSES, strict=True):
        area = np.trapezoid(line.get_ydata(), line.get_xdata())
        assert area == pytest.approx(scores.per_class[name]["roc_auc"])
        assert line.get_label().startswith(f"{name} {area:.3f} (")


def test_bars_of_two_runs():
    first, second = simulated(300, seed=3), simulated(300, seed=3, sharpness=1)
    scores, other = compute_scores(first), compute_scores(second)
    picture = figures.class_bars_picture("recall", "Recall", scores, name="a", other=other, other_name="b")
    widths = [bar.get_width() for bar in picture.figure.axes[0].patches]
    expected = [run.per_class[name]["recall"] for run in (scores, other) for name in CLASSES]
    assert widths == pytest.approx(expected)
    assert [text.get_text() for text in picture.figure.axes[0].get_legend().get_texts()] == ["a", "b"]


def test_reliability_points_are_the_bins():
    data = reliability(simulated(500, seed=4))
    line = figures.reliability_picture(data).figure.axes[0].lines[1]
    np.testing.assert_allclose(line.get_ydata(), [a for a in data.accuracy if a is not None])
    np.testing.assert_allclose(line.get_xdata(), [c for c in data.confidence if c is not None])


def test_a_history_without_loss_or_accuracy_has_no_learning_curves():
    assert figures.learning_picture([]) is None
    assert figures.learning_picture([{"epoch": 1, "lr": 0.1}]) is None
    picture = figures.learning_picture([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}])
    assert len(picture.figure.axes) == 1 and "loss 0.500" in picture.alt


def test_a_picture_is_saved_with_its_title_and_shown_without(tmp_path):
    picture = figures.confusion_picture(compute_scores(of_confusion(PUBLISHED)), normalised=False)
    before = picture.plot().image
    assert picture.save(tmp_path).name == "confusion.png"
    assert picture.plot().image.startswith("data:image/svg+xml;base64,")
    assert len(picture.plot().image) == pytest.approx(len(before), rel=0.02)
