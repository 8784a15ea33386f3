import json

import numpy as np
import pytest
from evaluation_cases import simulated

from skinzoo.evaluation.metrics import compute_scores
from skinzoo.evaluation.predictions import make_predictions
from skinzoo.evaluation.subgroups import age_band, compute_subgroups

DRAWS = 150


@pytest.mark.parametrize(
    ("age", "band"),
    [(0, "0-29"), (29, "0-29"), (29.5, "0-29"), (30, "30-44"), (75, "75-120"), (np.nan, "unknown")],
)
def test_age_bands(age, band):
    assert age_band(age) == band


def test_groups_hold_their_own_cases_counts_and_intervals():
    predictions = simulated(900, seed=31, lesions=500, facts=True)
    ears = np.flatnonzero(predictions.facts["localization"] == "ear")
    predictions = predictions.rows(~np.isin(np.arange(900), ears[10:]))
    found = compute_subgroups(predictions, draws=DRAWS)
    by_name = {(group.by, group.name): group for group in found.groups}
    for name in ("sex", "age", "localization", "confirmation"):
        assert sum(group.cases for group in found.groups if group.by == name) == len(predictions)
    women = by_name["sex", "female"]
    rows = predictions.rows((predictions.facts["sex"] == "female").to_numpy())
    assert women.cases == len(rows) and women.lesions == len(set(rows.lesion_id))
    assert women.scores.flat() == compute_scores(rows).flat()
    assert (
        women.intervals["accuracy"].low < women.scores.overall["accuracy"] < women.intervals["accuracy"].high
    )
    assert [g.name for g in found.groups if g.by == "age"] == [
        "0-29", "30-44", "45-59", "60-74", "75-120", "unknown",
    ]  # fmt: skip
    ear = by_name["localization", "ear"]
    assert ear.scores is None
    assert not [gap for gap in found.gaps if "unknown" in (gap.group, gap.reference) or gap.group == "ear"]
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_is_the_same_everywhere_is_not_flagged():
    found = compute_subgroups(simulated(3000, seed=32, facts=True), draws=DRAWS)
    assert len(found.gaps) > 20
    assert found.flagged == ()


def test_a_group_with_spoilt_predictions_is_flagged():
    predictions = simulated(3000, seed=33, sharpness=3, facts=True)
    men = (predictions.facts["sex"] == "male").to_numpy()
    probabilities = predictions.probabilities.copy()
    spoilt = men & (np.arange(3000) % 3 == 0)
    probabilities[spoilt] = np.roll(probabilities[spoilt], 1, axis=1)
    found = compute_subgroups(predictions.with_probabilities(probabilities), draws=DRAWS)
    flagged = {(gap.by, gap.group, gap.metric) for gap in found.flagged}
    reference = next(gap.reference for gap in found.gaps if gap.by == "sex")
    other = "male" if reference == "female" else "female"
    assert ("sex", other, "accuracy") in flagged
    assert {name for name, _, _ in flagged} == {"sex"}


def test_properties_that_are_not_known_are_named():
    table = simulated(200, facts=True).table().drop(columns="age").assign(sex="unknown")
    found = compute_subgroups(make_predictions(table), draws=DRAWS)
    assert found.unknown == ("sex", "age")
    assert {group.by for group in found.groups} == {"localization", "confirmation"}
