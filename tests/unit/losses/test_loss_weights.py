"""Class weights from counts and given, and what is refused."""

import loss_reference as reference
import numpy as np
import pytest

from skinzoo.errors import DataError, UsageError
from skinzoo.registry import registry
from skinzoo.specs import LossRequest, LossSpec

WEIGHTED = sorted(part.name for part in registry().parts("loss") if part.spec.weighted)


def spec(name):
    return registry().get(LossSpec, name)


def request(**changes):
    return LossRequest(**{"class_counts": reference.HAM10000, "class_names": reference.CLASSES, **changes})


@pytest.mark.parametrize(
    ("loss", "printed", "tolerance"),
    [
        ("weighted_ce", (4.3753, 2.7835, 1.3018, 12.4410, 1.2855, 0.2134, 10.0755), 5e-5),
        ("weighted_focal", (4.3753, 2.7835, 1.3018, 12.4410, 1.2855, 0.2134, 10.0755), 5e-5),
        ("inverse_share_ce", (30.6269, 19.4844, 9.1128, 87.0870, 8.9982, 1.4937, 70.5282), 5e-5),
        ("normalised_inverse_ce", (0.1347, 0.0857, 0.0401, 0.3831, 0.0396, 0.0066, 0.3102), 5e-5),
        # As the papers' notebooks print them, rounded or cut.
        ("weighted_ce", (4.37, 2.78, 1.3, 12.44, 1.28, 0.21, 10), 0.08),
        ("normalised_inverse_ce", (0.13, 0.08, 0.04, 0.38, 0.03, 0.006, 0.31), 0.01),
    ],
)
def test_weights_of_ham10000(loss, printed, tolerance):
    np.testing.assert_allclose(spec(loss).tabulate(request()), printed, atol=tolerance)


def test_weights_of_a_training_part():
    counts = (295, 463, 980, 103, 1000, 5993, 128)
    np.testing.assert_allclose(
        spec("weighted_ce").tabulate(request(class_counts=counts)),
        [8962 / (7 * n) for n in counts],
        rtol=1e-12,
    )


def test_balanced_is_what_scikit_learn_computes():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat(np.arange(7), reference.HAM10000)
    expected = compute_class_weight("balanced", classes=np.arange(7), y=labels)
    np.testing.assert_allclose(spec("weighted_ce").tabulate(request()), expected)


def test_power_is_that_of_gessert():
    tabulated = spec("inverse_share_ce").tabulate(request(options={"power": 0.5}))
    np.testing.assert_allclose(tabulated, [(10015 / n) ** 0.5 for n in reference.HAM10000])
    tabulated = spec("weighted_ce").tabulate(request(options={"power": 2}))
    np.testing.assert_allclose(tabulated, np.square(reference.balanced(reference.HAM10000)))
    assert spec("weighted_ce").tabulate(request(options={"power": 0})) == (1.0,) * 7


def test_multi_weighted_weights():
    printed = np.array([(1 / n) ** 1.1 for n in reference.HAM10000])
    printed[4] *= 2
    options = {"class_factors": {"mel": 2.0}}
    tabulate = spec("mwnl").tabulate
    np.testing.assert_allclose(tabulate(request(options={**options, "normalise": False})), printed)
    np.testing.assert_allclose(tabulate(request(options=options)), printed / printed.mean())
    given = tabulate(request(class_weights=(1, 1, 1, 1, 5, 1, 1), options={"normalise": False}))
    assert given == (1, 1, 1, 1, 5, 1, 1)


@pytest.mark.parametrize("loss", WEIGHTED)
def test_explicit_weights_reach_the_loss(loss):
    given = [4.37, 2.78, 1.3, 12.44, 1.28, 0.21, 10]
    options = {"normalise": False} if loss == "mwnl" else {}
    for weights in (tuple(given), given, np.array(given)):
        asked = request(class_weights=weights, options=options)
        assert spec(loss).tabulate(asked) == tuple(given)
        assert spec(loss).build(asked).class_weights == tuple(given)


@pytest.mark.parametrize("loss", WEIGHTED)
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1, 2, 3), "7 numbers, one for each of akiec, bcc.*Received: 3 numbers"),
        ((1.0,) * 8, "Received: 8 numbers"),
        ((), "positive"),
        ((1, 1, 1, 1, -5, 1, 1), r"class_weights\[4\].*at least 0.*Received: -5"),
        ((1, 1, 1, 1, float("nan"), 1, 1), r"class_weights\[4\].*Received: nan"),
        ((1, 1, 1, 1, float("inf"), 1, 1), "Received: inf"),
        ((0,) * 7, "positive"),
        ((1, 1, 1, 1, "5", 1, 1), "must be a number"),
        ("from_count", "must be 'from_counts' or one number a class"),
        (5.0, "list of numbers"),
        (None, "list of numbers"),
    ],
)
def test_bad_weights_are_a_usage_error(loss, weights, message):
    asked = request(class_weights=weights)
    for use in (spec(loss).tabulate, spec(loss).build):
        with pytest.raises(UsageError, match=message) as caught:
            use(asked)
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("loss", [*WEIGHTED, "logit_adjusted_ce"])
def test_a_class_without_cases_is_a_data_error(loss):
    counts = (327, 514, 1099, 0, 1113, 6705, 142)
    with pytest.raises(DataError, match=r"Every class needs a training case.*no case of df") as caught:
        spec(loss).build(request(class_counts=counts))
    assert caught.value.exit_code == 3
    if spec(loss).weighted:
        spec(loss).build(request(class_counts=counts, class_weights=(1.0,) * 7))


def test_a_class_without_cases_and_without_a_name_is_numbered():
    with pytest.raises(DataError, match="no case of class 1"):
        spec("weighted_ce").build(LossRequest(class_counts=(3, 0)))


@pytest.mark.parametrize("loss", ["ce", "focal", "label_smoothing_ce"])
def test_unweighted_losses_need_no_counts(loss):
    assert spec(loss).tabulate is None
    assert spec(loss).build(request(class_counts=(1, 0, 0, 0, 0, 0, 0))).class_weights is None


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        ("ce", {"gamma": 2}, "takes no options. Received: 'gamma'"),
        ("normalised_inverse_ce", {"power": 2}, "takes no options"),
        ("focal", {"gama": 2}, "must be one of gamma.*Did you mean 'gamma'"),
        ("focal", {"gamma": -1}, "Loss 'focal': `gamma` must be finite, at least 0"),
        ("weighted_ce", {"power": -1}, "`power`"),
        ("weighted_ce", {"power": 1e6}, "at most 10"),
        ("label_smoothing_ce", {"label_smoothing": "a"}, "must be a number"),
        ("logit_adjusted_ce", {"tau": float("nan")}, "`tau`"),
        ("mwnl", {"class_factors": {"melanoma": 2}}, "must be one of akiec.*Received: 'melanoma'"),
        ("mwnl", {"class_factors": 2}, "table of class name to factor"),
        ("mwnl", {"class_factors": {"mel": -2}}, "class_factors.mel"),
        ("mwnl", {"class_factors": dict.fromkeys(reference.CLASSES, 0)}, "positive"),
        ("mwnl", {"start_epoch": 70}, "`end_epoch` must not be before"),
        ("mwnl", {"alpha": "x"}, "`alpha`"),
    ],
)
def test_bad_options_are_a_usage_error(loss, options, message):
    with pytest.raises(UsageError, match=message):
        spec(loss).build(request(options=options))


@pytest.mark.parametrize(
    ("loss", "options"),
    [("weighted_ce", {"power": 2}), ("inverse_share_ce", {"power": 2}), ("mwnl", {"alpha": 2})],
)
def test_an_option_that_explicit_weights_would_silence_is_refused(loss, options):
    with pytest.raises(UsageError, match="shapes weights that come from counts"):
        spec(loss).build(request(class_weights=(1.0,) * 7, options=options))
