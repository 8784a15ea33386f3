"""The vectorised metrics agree with scikit-learn's on the cases that a draw stands for."""

import numpy as np
import pytest
from evaluation_cases import PUBLISHED, of_confusion, simulated

from skinzoo.evaluation.metrics import compute_scores
from skinzoo.evaluation.predictions import Predictions
from skinzoo.evaluation.weighted import WeightedScores


def drawn(predictions, counts):
    rows = np.repeat(np.arange(len(predictions)), counts)
    chosen = predictions.rows(rows)
    return Predictions(
        chosen.classes,
        np.arange(len(rows)).astype(object),
        chosen.lesion_id,
        chosen.true,
        chosen.probabilities,
    )


@pytest.mark.parametrize("decimals", [None, 0])
def test_a_draw_gives_what_scikit_learn_gives_for_its_cases(decimals):
    predictions = simulated(150, seed=5, decimals=decimals)
    rng = np.random.default_rng(1)
    weights = rng.multinomial(150, np.full(150, 1 / 150), size=6).astype(float)
    weights[0] = 1
    weights[1, predictions.true == 3] = 0
    weights[2, predictions.true != 5] = 0
    found = WeightedScores(predictions)(weights)
    for draw in range(len(weights)):
        expected = compute_scores(drawn(predictions, weights[draw].astype(int))).flat()
        compared = 0
        for name, values in found.items():
            value = expected[name]
            if value is None:
                assert np.isnan(values[draw]), (draw, name)
            else:
                assert values[draw] == pytest.approx(value, abs=1e-9), (draw, name)
                compared += 1
        assert compared > 15
    known = {name for name, value in compute_scores(predictions).flat().items() if value is not None}
    assert known - found.keys() == set()


def test_a_class_that_is_never_predicted():
    matrix = PUBLISHED.copy()
    matrix[:, 5] += matrix[:, 3]
    matrix[:, 3] = 0
    predictions = of_confusion(matrix)
    expected = compute_scores(predictions).flat()
    found = WeightedScores(predictions)(np.ones((1, len(predictions))))
    assert np.isnan(found["precision[df]"][0])
    assert found["macro_precision"][0] == pytest.approx(expected["macro_precision"])


def test_without_curves_nothing_is_sorted():
    found = WeightedScores(simulated(100), curves=False)(np.ones((2, 100)))
    assert "macro_f1" in found and not [name for name in found if "auc" in name]
