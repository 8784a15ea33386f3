import numpy as np
import pandas as pd
import pytest
from evaluation_cases import simulated

from skinzoo.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupted
from skinzoo.evaluation.evaluate import Provenance, evaluate
from skinzoo.evaluation.metrics import compute_scores
from skinzoo.evaluation.predictor import Looking
from skinzoo.evaluation.report import render_html, render_markdown
from skinzoo.evaluation.robustness import measure_robustness

SIZE = 16


class Brittle:
    """Is right as long as the image is as it was, and less sure the more of it has changed."""

    name = "brittle"

    def __init__(self, clean):
        self.classes = clean.classes
        self._clean = dict(zip(clean.image_id, clean.probabilities, strict=True))

    def probabilities(self, part, whole, looking):
        ids = part["image_id"].tolist()
        images = np.full((len(ids), SIZE, SIZE, 3), 100, np.uint8)
        seen = images if looking.alter is None else looking.alter(images, ids)
        changed = np.abs(seen.astype(float) - 100).mean(axis=(1, 2, 3)) / 155
        own = np.stack([self._clean[one] for one in ids])
        if looking.progress is not None:
            looking.progress(len(ids), len(ids))
        return (1 - changed)[:, None] * own + changed[:, None] * np.eye(len(self.classes))[0]


@pytest.fixture(scope="module")
def measured():
    clean = simulated(300, seed=1, lesions=200)
    part = pd.DataFrame(
        {"image_id": clean.image_id, "lesion_id": clean.lesion_id}
        | {"label": np.array(clean.classes)[clean.true]}
    )
    told = []
    looking = Looking(progress=lambda done, total: told.append((done, total)))
    found = measure_robustness(Brittle(clean), part, part, clean, looking=looking, draws=200, seed=7)
    return clean, part, found, told


def test_each_cell_is_the_score_of_the_corrupted_images(measured):
    clean, part, found, _ = measured
    assert found.clean == pytest.approx(compute_scores(clean).overall["balanced_accuracy"])
    assert [(c.corruption, c.strength) for c in found.cells] == [
        (name, strength) for name in CORRUPTIONS for strength in STRENGTHS
    ]
    looking = Looking(alter=lambda images, ids: corrupted(images, ids, name="occlusion", strength=4, seed=7))
    again = clean.with_probabilities(Brittle(clean).probabilities(part, part, looking))
    cell = found.of("occlusion")[3]
    assert cell.balanced_accuracy == pytest.approx(compute_scores(again).overall["balanced_accuracy"])
    assert cell.lost == pytest.approx(found.clean - cell.balanced_accuracy)
    assert cell.lost_interval.low <= cell.lost <= cell.lost_interval.high


def test_what_does_not_change_the_images_costs_nothing(measured):
    _, _, found, _ = measured
    # A flat image stays what it is under blur.
    assert [cell.lost for cell in found.of("blur")] == [0] * 5
    assert all(cell.lost_interval is None for cell in found.of("blur"))
    assert found.of("brightness")[-1].lost > 0.01


def test_means_and_shares(measured):
    _, _, found, told = measured
    document = found.to_dict()
    values = [cell.balanced_accuracy for cell in found.cells]
    assert document["mean"] == pytest.approx(np.mean(values))
    assert document["relative_mean"] == pytest.approx(np.mean(values) / found.clean)
    assert document["corruptions"]["jpeg"]["mean"] == pytest.approx(np.mean(values[5:10]))
    assert document["applied_to"].startswith("the decoded square")
    assert told[0] == (300, 6000) and told[-1] == (6000, 6000) and len(told) == 20


def test_the_report_shows_it(measured):
    import dataclasses

    clean, _, found, _ = measured
    evaluation = evaluate(clean, Provenance(name="r"), draws=100, subgroups=False)
    evaluation = dataclasses.replace(evaluation, robustness=found)
    for text in (render_html(evaluation), render_markdown(evaluation)):
        assert "Balanced accuracy on corrupted images" in text and "decoded square" in text
        assert "one grey square at a place of chance" in text
    assert evaluation.to_dict()["robustness"]["seed"] == 7
