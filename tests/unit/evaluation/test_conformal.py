import json

import numpy as np
import pytest
from evaluation_cases import simulated

from skinzoo.errors import DataError, UsageError
from skinzoo.evaluation.conformal import Conformal, fit_conformal
from skinzoo.evaluation.predictions import make_predictions


@pytest.mark.parametrize("method", ["aps", "raps"])
@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_reach_their_coverage_within_sampling_error(method, coverage):
    validation, test = simulated(4000, seed=20, sharpness=1.5), simulated(8000, seed=21, sharpness=1.5)
    fitted = fit_conformal(validation, coverage, method)
    found = fitted.measure(test)
    error = np.sqrt(coverage * (1 - coverage) * (1 / 4000 + 1 / 8000))
    assert abs(found["coverage"] - coverage) < 3.5 * error
    assert sum(found["sizes"].values()) == 8000
    assert found["mean_size"] > 1


def test_coverage_holds_for_a_model_that_is_overconfident():
    def sharpened(predictions):
        odds = predictions.probabilities**3
        return predictions.with_probabilities(odds / odds.sum(axis=1, keepdims=True))

    fitted = fit_conformal(sharpened(simulated(4000, seed=22, sharpness=1.5)), 0.9)
    found = fitted.measure(sharpened(simulated(8000, seed=23, sharpness=1.5)))
    assert abs(found["coverage"] - 0.9) < 0.02


def test_no_set_is_empty_and_sets_are_the_most_probable_classes():
    fitted = fit_conformal(simulated(500, seed=24), 0.5)
    test = simulated(500, seed=25)
    sets = fitted.sets(test)
    assert sets.any(axis=1).all()
    inside = np.where(sets, test.probabilities, 1).min(axis=1)
    outside = np.where(sets, 0, test.probabilities).max(axis=1)
    assert (inside >= outside).all()
    assert fitted.measure(test)["coverage"] >= (test.predicted == test.true).mean()


def test_a_set_by_hand():
    fitted = Conformal("raps", ("a", "b", "c"), 0.9, 0.6, 0.01, 2, 100)
    table = {"image_id": ["x"], "true": ["c"], "a": [0.3], "b": [0.5], "c": [0.2]}
    # Before a class: b 0, a 0.5, c 0.8 + 0.01.
    assert fitted.sets(make_predictions(table)).tolist() == [[True, True, False]]
    measured = fitted.measure(make_predictions(table))
    assert measured["coverage"] == 0 and measured["mean_size"] == 2
    assert measured["coverage_per_class"] == {"a": None, "b": None, "c": 0.0}


def test_the_limit_is_the_finite_sample_quantile():
    validation = simulated(99, seed=26)
    fitted = fit_conformal(validation, 0.9, "aps")
    held = fitted.sets(validation)[np.arange(99), validation.true]
    assert held.sum() >= 90


def test_sets_are_plain_json():
    fitted = fit_conformal(simulated(300), 0.9)
    assert Conformal.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False))) == fitted


def test_wrong_input():
    predictions = simulated(100)
    with pytest.raises(UsageError, match="`conformal` must be one of aps, raps"):
        fit_conformal(predictions, 0.9, "lac")
    with pytest.raises(UsageError, match="Received: 1"):
        fit_conformal(predictions, 1.0)
    with pytest.raises(DataError, match=r"at least 9 validation cases. Received: 8"):
        fit_conformal(predictions.rows(np.arange(8)), 0.9)
    assert fit_conformal(predictions.rows(np.arange(9)), 0.9).cases == 9
    with pytest.raises(UsageError, match="cases of train"):
        fit_conformal(make_predictions(predictions.table().assign(part="train")), 0.9)
    with pytest.raises(DataError, match="Received: x, y"):
        fit_conformal(predictions).sets(simulated(5, classes=("x", "y")))
