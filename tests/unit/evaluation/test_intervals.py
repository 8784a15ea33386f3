import time

import numpy as np
import pytest
from evaluation_cases import CLASSES, simulated
from scipy import stats

from skinzoo.errors import DataError, UsageError
from skinzoo.evaluation.intervals import (
    aligned,
    bootstrap,
    compare,
    draw_weights,
    mcnemar,
    percentile_interval,
)
from skinzoo.evaluation.metrics import compute_scores
from skinzoo.evaluation.predictions import make_predictions
from skinzoo.evaluation.weighted import WeightedScores


def test_draws_count_whole_lesions_and_keep_their_number():
    units = simulated(200, lesions=60).units
    weights = np.concatenate(list(draw_weights(units, 120, seed=4)), axis=0).T
    assert weights.shape == (200, 120)
    for unit in range(units.max() + 1):
        assert (weights[units == unit] == weights[units == unit][0]).all()
    first = np.unique(units, return_index=True)[1]
    assert (weights[first].sum(axis=0) == units.max() + 1).all()
    assert abs(weights.mean() - 1) < 0.02


def test_the_interval_of_accuracy_is_the_binomial_one():
    predictions = simulated(900, seed=1)
    right = (predictions.predicted == predictions.true).mean()
    width = 2 * 1.96 * np.sqrt(right * (1 - right) / 900)
    found = bootstrap(predictions, draws=2000, curves=False).by_metric["accuracy"]
    assert found.low < right < found.high
    assert found.high - found.low == pytest.approx(width, rel=0.1)


def test_lesions_of_many_images_widen_the_interval():
    # Four copies of each case: as images they look like four times the evidence.
    table = simulated(300, seed=2).table()
    copies = table.loc[table.index.repeat(4)].assign(image_id=[f"i{i}" for i in range(1200)])
    by_image = bootstrap(make_predictions(copies.drop(columns="lesion_id")), curves=False)
    copies["lesion_id"] = [f"lesion{i // 4}" for i in range(1200)]
    by_lesion = bootstrap(make_predictions(copies), curves=False)
    assert (by_image.unit, by_lesion.unit, by_lesion.units) == ("image", "lesion", 300)
    wide, narrow = (i.by_metric["accuracy"] for i in (by_lesion, by_image))
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(2, rel=0.15)


def test_every_metric_has_an_interval_around_it_and_a_seed_repeats_it():
    predictions = simulated(600, seed=7, lesions=300)
    scores = compute_scores(predictions).flat()
    found = bootstrap(predictions, draws=300, seed=5)
    known = {name for name, value in scores.items() if value is not None}
    assert known - found.by_metric.keys() == {"expected_calibration_error"}
    for name, interval in found.by_metric.items():
        assert interval.low <= scores[name] <= interval.high, name
    assert found == bootstrap(predictions, draws=300, seed=5)
    assert found.to_dict()["method"] == "percentile bootstrap over lesions"


def test_an_interval_that_the_draws_cannot_tell_is_none():
    assert percentile_interval(np.ones(100), 0.95) is None
    assert percentile_interval(np.array([np.nan] * 60 + [0.1, 0.2] * 20), 0.95) is None
    known = percentile_interval(np.array([np.nan] * 40 + list(range(101))), 0.9)
    assert (known.low, known.high) == pytest.approx((5, 95))
    assert known.draws == 101


@pytest.mark.parametrize("options", [{"draws": 99}, {"level": 1.0}, {"level": 0.2}])
def test_options_outside_their_range(options):
    with pytest.raises(UsageError, match="Received"):
        bootstrap(simulated(50), **options)


def noisy(predictions, amount, seed=0):
    rng = np.random.default_rng(seed)
    logits = np.log(predictions.probabilities) + rng.normal(size=predictions.probabilities.shape) * amount
    new = np.exp(logits)
    return predictions.with_probabilities(new / new.sum(axis=1, keepdims=True))


def test_a_run_against_a_spoilt_copy_of_itself():
    first = simulated(800, seed=8, lesions=500, sharpness=3)
    first = first.rows(np.unique(first.units, return_index=True)[1])
    second = noisy(first, 2.0)
    found = compare(first, second, draws=400)
    accuracy = found.differences["accuracy"]
    scores = [compute_scores(p).overall for p in (first, second)]
    assert accuracy.value == pytest.approx(scores[0]["accuracy"] - scores[1]["accuracy"])
    assert accuracy.clear and accuracy.p < 0.01
    back = compare(second, first, draws=400).differences["accuracy"]
    assert back.value == pytest.approx(-accuracy.value)
    same = compare(first, first, draws=100)
    assert same.differences["accuracy"].value == 0
    assert not same.differences["accuracy"].clear
    assert same.mcnemar.p == 1
    assert found.mcnemar.p < 0.01
    assert found.to_dict()["mcnemar"]["unit"] == "lesion"


def test_pairing_narrows_the_interval():
    first = simulated(800, seed=9)
    paired = compare(first, noisy(first, 0.1), draws=300).differences["accuracy"].interval
    alone = bootstrap(first, draws=300).by_metric["accuracy"]
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_mcnemar_is_the_exact_binomial_test():
    first = simulated(400, seed=10)
    second = noisy(first, 1.0)
    right, other = ((p.predicted == p.true) for p in (first, second))
    b, c = int((right & ~other).sum()), int((~right & other).sum())
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second, found.unit, found.cases) == (b, c, "image", 400)
    tail = sum(
        stats.binom.pmf(k, b + c, 0.5) for k in range(b + c + 1) if abs(k - (b + c) / 2) >= abs(b - c) / 2
    )
    assert found.p == pytest.approx(tail)


def test_order_of_images_and_classes_does_not_matter():
    first = simulated(100, seed=11)
    table = first.table().iloc[::-1][["true", "image_id", *reversed(CLASSES)]]
    found = aligned(first, make_predictions(table))
    np.testing.assert_allclose(found.probabilities, first.probabilities, rtol=1e-12)
    assert (found.true == first.true).all()


def test_runs_on_other_images_classes_or_truths_are_not_compared():
    first = simulated(100)
    table = first.table()
    with pytest.raises(
        DataError, match=r"10 images of predictions are not in predictions and 0 the other way"
    ):
        compare(first, make_predictions(table.iloc[10:]))
    with pytest.raises(DataError, match=r"and 10 the other way round, for example 'image0'"):
        compare(make_predictions(table.iloc[10:]), first)
    with pytest.raises(DataError, match="same classes"):
        compare(first, make_predictions(table.rename(columns={"df": "scc"}).replace("df", "scc")))
    table.loc[0, "true"] = next(name for name in CLASSES if name != table.loc[0, "true"])
    with pytest.raises(DataError, match=r"agree on the true classes.*'image0'"):
        compare(first, make_predictions(table))


@pytest.mark.slow
def test_metrics_and_intervals_of_10015_cases_take_under_10_seconds():
    # Processor time: other work on the machine must not decide.
    predictions = simulated(10_015, seed=12, lesions=7_470)
    start = time.process_time()
    compute_scores(predictions)
    bootstrap(predictions)
    assert time.process_time() - start < 10


@pytest.mark.slow
@pytest.mark.parametrize("lesions", [None, 250])
def test_a_95_percent_interval_covers_93_to_97_percent_of_1000_draws(lesions):
    """Samples of a population whose metrics are known; lesions there hold images that share their answer."""
    metrics = ("accuracy", "macro_f1", "balanced_accuracy", "roc_auc_macro", "log_loss", "brier", "matthews")
    classes = ("mel", "nv", "bkl")
    population = simulated(200_000, seed=13, classes=classes)
    truth = WeightedScores(population)(np.ones((1, len(population))))
    rng = np.random.default_rng(14)
    covered = dict.fromkeys(metrics, 0)
    for repeat in range(1000):
        if lesions:
            # Each lesion gives as many images as its number says, all with the same answer.
            cases = rng.integers(len(population), size=lesions)
            rows = np.repeat(cases, 1 + np.arange(lesions) % 3)
            owner = np.repeat(np.arange(lesions), 1 + np.arange(lesions) % 3)
        else:
            rows, owner = rng.integers(len(population), size=400), None
        sample = population.rows(rows)
        if owner is not None:
            sample = sample.with_lesions(np.array([f"lesion{i}" for i in owner], dtype=object))
        else:
            sample = sample.with_lesions(np.array([f"image{i}" for i in range(len(rows))], dtype=object))
        found = bootstrap(sample, draws=400, seed=repeat)
        for name in metrics:
            interval = found.by_metric[name]
            covered[name] += interval.low <= truth[name][0] <= interval.high
    shares = {name: number / 1000 for name, number in covered.items()}
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares
