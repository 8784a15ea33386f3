import numpy as np
import pytest
from scipy import stats
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score, roc_curve

from skinzoo.errors import DataError
from skinzoo.evaluation.ood import (
    CONFIDENCE,
    ENERGY,
    ISOLATION,
    MAHALANOBIS,
    NormalityScores,
    separation,
)

CLASSES = ("a", "b", "c")
MEANS = np.array([[6.0, 0, 0, 0], [0, 6, 0, 0], [0, 0, 6, 0]])
SPREAD = np.diag([1.0, 4.0, 0.25, 1.0])


def gaussians(cases, *, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=cases)
    features = MEANS[labels] + rng.multivariate_normal(np.zeros(4), SPREAD, cases)
    features[:, 3] += shift
    return features, labels


@pytest.fixture(scope="module")
def fitted():
    return NormalityScores(*gaussians(6000), CLASSES)


def test_mahalanobis_distances_are_those_of_the_known_gaussians(fitted):
    features, _ = gaussians(200, seed=1)
    found = fitted(features, np.zeros((200, 3)))[MAHALANOBIS]
    inverse = np.linalg.inv(SPREAD)
    offsets = features[:, None] - MEANS
    expected = -np.einsum("ncd,de,nce->nc", offsets, inverse, offsets).min(axis=1)
    np.testing.assert_allclose(found, expected, rtol=0.12, atol=0.4)
    assert fitted.shrinkage < 0.01


def test_mahalanobis_separates_as_theory_says(fitted):
    # Nearest class aside, squared distances are chi-squared with 4 degrees, or noncentral with shift^2.
    shift = 3.0
    normal = fitted(gaussians(4000, seed=2)[0], np.zeros((4000, 3)))[MAHALANOBIS]
    other = fitted(gaussians(4000, seed=3, shift=shift)[0], np.zeros((4000, 3)))[MAHALANOBIS]
    rng = np.random.default_rng(4)
    first = stats.chi2.rvs(4, size=200_000, random_state=rng)
    second = stats.ncx2.rvs(4, shift**2, size=200_000, random_state=rng)
    found = separation(MAHALANOBIS, normal, other, draws=200)
    assert found.auroc == pytest.approx((first < second).mean(), abs=0.015)
    expected = (second <= np.quantile(first, 0.95)).mean()
    assert found.fpr95 == pytest.approx(expected, abs=0.03)
    assert found.auroc_interval.low < found.auroc < found.auroc_interval.high
    assert found.fpr95_interval.low < found.fpr95 < found.fpr95_interval.high


def test_features_that_never_vary_do_not_break_it():
    features, labels = gaussians(60)
    flat = np.concatenate([features, np.ones((60, 200))], axis=1)
    found = NormalityScores(flat, labels, CLASSES)(flat, np.zeros((60, 3)))
    assert all(np.isfinite(values).all() for values in found.values())


def test_the_forest_score_is_that_of_deepif(fitted):
    features, labels = gaussians(6000)
    probes = np.concatenate([MEANS, np.full((1, 4), 40.0)])
    forests = [
        IsolationForest(n_estimators=200, random_state=0).fit(features[labels == one]) for one in range(3)
    ]
    expected = np.max([forest.decision_function(probes) for forest in forests], axis=0)
    found = fitted(probes, np.zeros((4, 3)))[ISOLATION]
    # With the usual offset of -0.5 that is 0.5 - 2^(-path / usual path).
    np.testing.assert_allclose(found, expected)
    assert found[:3].min() > 0 > found[3]


def test_energy_and_confidence_are_their_formulas(fitted):
    logits = np.array([[1.0, 2.0, 3.0], [1000.0, 0.0, -1000.0]])
    found = fitted(np.zeros((2, 4)), logits)
    assert found[ENERGY] == pytest.approx([np.log(np.exp([1, 2, 3]).sum()), 1000])
    assert found[CONFIDENCE] == pytest.approx([np.exp(3) / np.exp([1, 2, 3]).sum(), 1])


@pytest.mark.parametrize("decimals", [None, 1])
def test_separation_is_what_scikit_learn_says(decimals):
    rng = np.random.default_rng(5)
    normal, other = rng.normal(1, 1, 400), rng.normal(0, 1, 300)
    if decimals is not None:
        normal, other = normal.round(decimals), other.round(decimals)
    found = separation("score", normal, other, draws=200)
    labels = np.repeat([1, 0], [400, 300])
    scores = np.concatenate([normal, other])
    assert found.auroc == pytest.approx(roc_auc_score(labels, scores))
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert found.fpr95 == pytest.approx(fpr[tpr >= 0.95].min())


def test_perfect_and_useless_scores():
    perfect = separation("score", np.full(50, 2.0), np.full(40, 1.0), draws=100)
    assert (perfect.auroc, perfect.fpr95) == (1, 0)
    assert perfect.auroc_interval is None
    useless = separation("score", np.zeros(50), np.zeros(40), draws=100)
    assert (useless.auroc, useless.fpr95) == (0.5, 1)


def test_intervals_draw_lesions():
    rng = np.random.default_rng(6)
    normal, other = np.repeat(rng.normal(1, 1, 60), 5), rng.normal(0, 1, 300)
    alone = separation("score", normal, other, draws=300)
    together = separation("score", normal, other, normal_units=np.repeat(np.arange(60), 5), draws=300)
    width = [one.auroc_interval.high - one.auroc_interval.low for one in (alone, together)]
    assert together.auroc == alone.auroc and width[1] > 1.4 * width[0]


def test_small_classes_have_no_forest_and_are_named():
    features, labels = gaussians(200)
    few = np.concatenate([np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:5]])
    found = NormalityScores(features[few], labels[few], CLASSES)
    assert found.without_forest == ("c",)
    # Its mean counts all the same.
    assert found(MEANS, np.zeros((3, 3)))[MAHALANOBIS].min() > -4
    with pytest.raises(DataError, match=r"must have 8 training images .* Received: at most 3"):
        NormalityScores(features[:7], np.array([0, 0, 0, 1, 1, 2, 2]), CLASSES)
