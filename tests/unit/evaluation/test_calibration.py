import json

import numpy as np
import pytest
from evaluation_cases import CLASSES, simulated

from skinzoo.errors import DataError, UsageError
from skinzoo.evaluation.calibration import Calibration, fit_abstention, fit_calibration, reliability
from skinzoo.evaluation.fitting import check_apart
from skinzoo.evaluation.metrics import compute_scores
from skinzoo.evaluation.predictions import make_predictions


def bent(predictions, scale, shift=0.0):
    """The calibrated simulation with its logits scaled and shifted: the truth does not move."""
    logits = np.log(predictions.probabilities) * scale + shift
    logits -= logits.max(axis=1, keepdims=True)
    odds = np.exp(logits)
    return predictions.with_probabilities(odds / odds.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_comes_out(temperature):
    validation = bent(simulated(6000, seed=1, sharpness=1.5), temperature)
    fitted = fit_calibration(validation)
    assert fitted.temperature == pytest.approx(temperature, rel=0.06)
    test = bent(simulated(3000, seed=2, sharpness=1.5), temperature)
    after = fitted.apply(test)
    np.testing.assert_allclose(after.probabilities.sum(axis=1), 1, rtol=1e-12)
    assert (after.predicted == test.predicted).all()
    assert compute_scores(after).overall["expected_calibration_error"] < 0.03
    if temperature != 1:
        assert compute_scores(after).overall["log_loss"] < compute_scores(test).overall["log_loss"] - 0.02


def test_vector_scaling_finds_factors_and_shifts():
    shift = np.array([1.0, -1.0, 0.5, 0, 0, -0.5, 0])
    scale = np.array([1.6, 0.8, 1.2, 1, 1, 1.4, 1])
    validation = bent(simulated(8000, seed=3, sharpness=1.5), scale, shift)
    fitted = fit_calibration(validation, "vector")
    assert fitted.temperature is None
    test = simulated(4000, seed=4, sharpness=1.5)
    apart = [
        np.abs(p.probabilities - test.probabilities).mean()
        for p in (bent(test, scale, shift), fitted.apply(bent(test, scale, shift)))
    ]
    assert apart[1] < 0.25 * apart[0]
    better = fit_calibration(validation, "temperature").log_loss[1]
    assert fitted.log_loss[1] < better < fitted.log_loss[0]


def test_a_calibration_is_plain_json():
    fitted = fit_calibration(simulated(400), "vector")
    assert Calibration.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False))) == fitted


def test_certain_and_wrong_validation_cases_leave_it_finite():
    predictions = simulated(300)
    sure = np.eye(7)[np.where(np.arange(300) % 5 == 0, (predictions.true + 1) % 7, predictions.true)]
    for method in ("temperature", "vector"):
        fitted = fit_calibration(predictions.with_probabilities(sure), method)
        assert np.isfinite([*fitted.scale, *fitted.shift, *fitted.log_loss]).all()
        assert fitted.log_loss[1] < fitted.log_loss[0]


@pytest.mark.parametrize("fit", [fit_calibration, fit_abstention])
def test_only_validation_is_fitted_on(fit):
    table = simulated(200).table().assign(part="test")
    with pytest.raises(UsageError, match=r"must be fitted on the validation part. Received: cases of test"):
        fit(make_predictions(table))
    fit(make_predictions(table.assign(part="validation")), *([0.5] if fit is fit_abstention else []))


def test_wrong_input():
    predictions = simulated(100)
    with pytest.raises(UsageError, match="`calibrate` must be one of temperature, vector"):
        fit_calibration(predictions, "platt")
    with pytest.raises(DataError, match="at least two classes"):
        fit_calibration(predictions.rows(predictions.true == 5))
    other = simulated(50, classes=("x", "y"))
    with pytest.raises(DataError, match="Received: x, y"):
        fit_calibration(predictions).apply(other)
    with pytest.raises(DataError, match="at most"):
        fit_abstention(predictions.with_probabilities(np.full((100, 7), 1 / 7)), 0.99)
    with pytest.raises(UsageError, match=r"Received: 1\.5"):
        fit_abstention(predictions, 1.5)


def test_parts_that_share_images_or_lesions_are_refused():
    whole = simulated(100, lesions=40)
    with pytest.raises(UsageError, match="100 images in both, for example 'image0'"):
        check_apart(whole, whole, "A calibration")
    table = whole.table()
    other = make_predictions(table.assign(image_id=[f"x{i}" for i in range(100)]))
    with pytest.raises(UsageError, match="lesions in both, for example 'lesion0'"):
        check_apart(whole, other, "A calibration")
    check_apart(whole, other.with_lesions(np.full(100, "", dtype=object)), "A calibration")
    with pytest.raises(DataError, match="classes of the fit"):
        check_apart(whole, simulated(10, classes=("x", "y")), "A calibration")


def test_reliability_bins_add_up_to_the_calibration_error():
    predictions = bent(simulated(2000, seed=5), 2.0)
    found = reliability(predictions)
    assert len(found.edges) == 16 and sum(found.cases) == 2000
    assert found.confidence[0] is None and found.cases[0] == 0
    error = sum(
        cases * abs(a - c)
        for cases, a, c in zip(found.cases, found.accuracy, found.confidence, strict=True)
        if cases
    )
    expected = compute_scores(predictions).overall["expected_calibration_error"]
    assert error / 2000 == pytest.approx(expected) == pytest.approx(found.expected_calibration_error)
    assert all(
        low < c <= high + 1e-12
        for low, high, c in zip(found.edges, found.edges[1:], found.confidence, strict=False)
        if c
    )
    json.dumps(found.to_dict(), allow_nan=False)


def test_an_abstention_threshold_reaches_its_accuracy_and_is_the_lowest():
    validation, test = simulated(4000, seed=6, sharpness=3), simulated(4000, seed=7, sharpness=3)
    fitted = fit_abstention(validation, 0.9)
    assert fitted.accuracy >= 0.9
    measured = fitted.measure(test)
    assert measured["accuracy"] == pytest.approx(0.9, abs=0.03)
    assert measured["answered"] == pytest.approx(fitted.answered, abs=0.04)
    lower = [
        (validation.predicted == validation.true)[validation.probabilities.max(axis=1) >= t].mean()
        for t in np.unique(validation.probabilities.max(axis=1))[::20]
        if t < fitted.threshold
    ]
    assert max(lower) < 0.9
    json.dumps(fitted.to_dict(), allow_nan=False)
    assert set(CLASSES) == set(test.classes)
