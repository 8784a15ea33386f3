import json

import numpy as np
import pytest
from evaluation_cases import PUBLISHED, of_confusion, simulated

from skinzoo.errors import DataError, UsageError
from skinzoo.evaluation.evaluate import Provenance, evaluate
from skinzoo.evaluation.metrics import compute_scores
from skinzoo.evaluation.predictions import make_predictions, per_lesion
from skinzoo.evaluation.report import render_markdown

DRAWS = 100
SOMEWHERE = Provenance(name="p.csv")


def validation(cases=400, seed=50):
    table = simulated(cases, seed=seed).table()
    return make_predictions(table.assign(image_id="v" + table["image_id"]))


def test_everything_is_one_json_document():
    predictions = simulated(400, seed=51, lesions=5000, facts=True)
    found = evaluate(
        predictions,
        SOMEWHERE,
        validation=validation(),
        against=(predictions, Provenance(name="the same")),
        draws=DRAWS,
        answer_accuracy=0.8,
    )
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["by_image"]["overall"] == compute_scores(predictions).overall
    assert document["by_image"]["intervals"]["unit"] == "lesion"
    assert document["against"]["tests"]["mcnemar"]["p"] == 1
    assert document["calibrated"]["conformal"]["coverage"] == 0.9
    assert document["calibrated"]["sets"]["coverage"] == pytest.approx(0.9, abs=0.06)
    assert found.calibrated.parameters().keys() == {"calibration", "conformal", "abstention"}
    assert document["caveats"] and document["provenance"]["leaky"] is None


def test_lesions_are_cases_of_their_own_where_they_have_several_images():
    single = evaluate(of_confusion(PUBLISHED), SOMEWHERE, draws=DRAWS, subgroups=False)
    assert single.by_lesion is None and single.subgroups is None
    table = simulated(300, seed=52).table().sort_values("true")
    table["lesion_id"] = [f"{true}{i // 3}" for i, true in enumerate(table["true"])]
    predictions = make_predictions(table)
    found = evaluate(predictions, SOMEWHERE, draws=DRAWS, subgroups=False)
    assert found.by_lesion.scores.flat() == compute_scores(per_lesion(predictions)).flat()
    assert found.by_lesion.intervals.units == found.by_image.intervals.units < 300


def test_patients_with_several_classes_are_drawn_and_not_averaged():
    predictions = simulated(300, seed=53, lesions=80)
    found = evaluate(predictions, SOMEWHERE, against=(predictions, SOMEWHERE), draws=DRAWS, subgroups=False)
    assert found.by_lesion is None
    assert found.by_image.intervals.unit == "lesion" and found.by_image.intervals.units <= 80
    assert found.against.tests.mcnemar.unit == "image"
    assert "several classes, so nothing is measured by lesion" in render_markdown(found)


def test_a_leaky_split_is_said_first():
    leaky = Provenance(name="r", protocol="paper", stamps=("leaky", "selection on test"))
    assert [sentence.split("'")[1] for sentence in leaky.caveats()] == ["paper", "paper"]
    assert "is leaky" in leaky.caveats()[0] and leaky.leaky
    honest = Provenance(name="r", protocol="lesion", part="test")
    assert honest.caveats() == [] and not honest.grave
    unknown = Provenance(name="r", protocol="lesion", part="test", stamps=("no lesion ids",))
    assert "no lesion ids" in unknown.caveats()[0] and not unknown.grave
    trained = Provenance(name="r", protocol="lesion", part="train")
    assert "trained on" in trained.caveats()[0] and trained.grave
    chosen = Provenance(name="r", protocol="lesion", part="validation")
    assert "chose the best epoch" in chosen.caveats()[0] and not chosen.grave
    assert "do not state the split" in SOMEWHERE.caveats()[0]


def test_a_weak_model_has_no_threshold_and_keeps_the_rest():
    flat = np.full((200, 7), 1 / 7)
    found = evaluate(
        simulated(200).with_probabilities(flat),
        SOMEWHERE,
        validation=validation(200).with_probabilities(flat),
        draws=DRAWS,
        subgroups=False,
    )
    assert found.calibrated.abstention is None and found.calibrated.answered is None
    assert "Some threshold must reach" in found.calibrated.problem
    json.dumps(found.to_dict(), allow_nan=False)


def test_validation_that_overlaps_or_is_too_small():
    predictions = simulated(200)
    with pytest.raises(UsageError, match="200 images in both"):
        evaluate(predictions, SOMEWHERE, validation=predictions, draws=DRAWS)
    with pytest.raises(DataError, match="at least 9 validation cases"):
        evaluate(predictions, SOMEWHERE, validation=validation(8), draws=DRAWS, subgroups=False)
