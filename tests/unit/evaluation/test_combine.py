import itertools

import numpy as np
import pytest
from evaluation_cases import CLASSES, simulated

from skinzoo.errors import DataError, UsageError
from skinzoo.evaluation.combine import MEAN, SUBSET, WEIGHTED, choose, equal
from skinzoo.evaluation.metrics import compute_scores
from skinzoo.evaluation.predictions import make_predictions

NAMES = ("a", "b", "c")


def noisy(predictions, amount, seed):
    """The same cases as a worse model sees them."""
    noise = np.random.default_rng(seed).dirichlet(np.ones(len(CLASSES)), len(predictions))
    return predictions.with_probabilities((1 - amount) * predictions.probabilities + amount * noise)


def of_part(part, seed=0):
    return make_predictions(simulated(600, seed=seed).table().assign(part=part))


@pytest.fixture(scope="module")
def three():
    cases = of_part("validation")
    return [noisy(cases, amount, seed) for seed, amount in enumerate((0.3, 0.6, 0.95))]


def test_the_mean_needs_no_data():
    found = equal(NAMES)
    assert found.weights == pytest.approx((1 / 3,) * 3) and found.part == ""
    rows = [np.full((2, 2), value) for value in (0.0, 0.3, 0.9)]
    assert found(rows) == pytest.approx(np.full((2, 2), 0.4))
    assert found.sentence() == "mean of 3 runs: a, b, c"


def test_weights_have_the_least_log_loss_of_a_grid(three):
    found = choose(WEIGHTED, NAMES, three)
    assert sum(found.weights) == pytest.approx(1)
    true = three[0].true

    def loss(weights):
        mixed = sum(w * one.probabilities for w, one in zip(weights, three, strict=True))
        return -np.log(mixed[np.arange(len(true)), true]).mean()

    steps = np.linspace(0, 1, 41)
    best = min(loss((a, b, 1 - a - b)) for a, b in itertools.product(steps, steps) if a + b <= 1 + 1e-12)
    assert found.value <= best + 1e-6
    assert found.value == pytest.approx(loss(found.weights)) and found.value < found.value_of_mean
    assert found.value_of_mean == pytest.approx(loss((1 / 3,) * 3))
    assert "chosen on 600 validation images" in found.sentence()


def test_known_mixture_weights_are_found():
    rng = np.random.default_rng(3)
    first, second = (rng.dirichlet(np.full(4, 0.5), 20_000) for _ in range(2))
    truth = 0.7 * first + 0.3 * second
    true = (rng.random((20_000, 1)) > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    table = {"image_id": [f"i{i}" for i in range(20_000)], "true": [f"c{i}" for i in true]}
    members = [make_predictions(table | {f"c{i}": one[:, i] for i in range(4)}) for one in (first, second)]
    assert choose(WEIGHTED, ("x", "y"), members).weights == pytest.approx((0.7, 0.3), abs=0.03)


def test_the_subset_is_the_best_of_all(three):
    found = choose(SUBSET, NAMES, three)
    scores = {}
    for size in (1, 2, 3):
        for chosen in itertools.combinations(range(3), size):
            mean = np.mean([three[i].probabilities for i in chosen], axis=0)
            scores[chosen] = compute_scores(three[0].with_probabilities(mean)).overall["balanced_accuracy"]
    assert found.value == pytest.approx(max(scores.values()))
    members = tuple(i for i, weight in enumerate(found.weights) if weight)
    assert scores[members] == found.value and "trying all 7 subsets" in found.search
    assert set(found.weights) <= {0.0, 1 / len(members)}
    assert found.value_of_mean == pytest.approx(scores[0, 1, 2])


def test_many_members_are_added_one_by_one():
    cases = of_part("validation", seed=4)
    good, bad = [noisy(cases, 0.5, seed) for seed in range(3)], [noisy(cases, 0.99, s) for s in range(3, 12)]
    found = choose(SUBSET, [f"m{i}" for i in range(12)], bad + good)
    assert found.search == "adding members one by one"
    assert {"m9", "m10", "m11"} & set(found.chosen)
    single = max(compute_scores(one).overall["balanced_accuracy"] for one in bad + good)
    assert found.value >= single


def test_members_without_a_weight_are_not_needed(three):
    found = choose(SUBSET, NAMES, [three[0], three[2], three[2]])
    if found.weights[1] == 0:
        parts = [three[0].probabilities, None, None]
        assert found(parts) == pytest.approx(three[0].probabilities)


def test_order_of_the_images_does_not_matter(three):
    shuffled = [three[0], three[1].rows(np.random.default_rng(0).permutation(600)), three[2]]
    expected = choose(WEIGHTED, NAMES, three)
    assert choose(WEIGHTED, NAMES, shuffled).weights == pytest.approx(expected.weights)


def test_nothing_is_chosen_on_another_part_than_validation(three):
    for method in (WEIGHTED, SUBSET):
        with pytest.raises(UsageError, match=r"fitted on the validation part\. Received: cases of test"):
            choose(method, ("a", "b"), [of_part("test"), of_part("test")])
    with pytest.raises(DataError, match="same images"):
        choose(SUBSET, ("a", "b"), [three[0], three[1].rows(np.arange(500))])
    with pytest.raises(UsageError, match=r"`combine` must be one of .* Did you mean 'mean'"):
        choose("men", NAMES, three)
    assert choose(MEAN, NAMES, []).weights == equal(NAMES).weights
