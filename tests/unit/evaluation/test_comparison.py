"""Runs beside each other: order, differences, splits, papers' numbers, costs, and what is left out."""

import io
import json
import sys

import pandas as pd
import pytest
from comparison_runs import CASES, HASH, OTHER, changed, spoilt, write_results, write_run
from html_pages import Page, check_pictures, seen

from skinzoo.errors import DataError, ModelError, UsageError
from skinzoo.evaluation.comparison.entries import Left, entries_in, entries_of
from skinzoo.evaluation.comparison.ranking import rank_runs
from skinzoo.evaluation.comparison.writing import (
    render_csv,
    render_html,
    render_markdown,
    write_comparison,
)
from skinzoo.evaluation.intervals import compare
from skinzoo.profile.record import Profile
from skinzoo.profile.request import ProfileSettings
from skinzoo.published import LEAKY_PROTOCOLS, published_value
from skinzoo.registry import registry
from skinzoo.specs import VariantSpec


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs of one split, one of a leaky split, a folder of results, and two that are not evaluated."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder, "middling", spoilt(0.3))
    write_run(folder, "best", CASES)
    write_run(folder, "worst", spoilt(0.6), choices={"fusion": "mlp"})
    write_run(
        folder, "leaky", spoilt(0.1), protocol="paper", split_hash=OTHER,
        stamps=("leaky", "selection on test"),
    )  # fmt: skip
    write_results(folder, "kept", spoilt(0.4))
    write_run(folder, "unevaluated", None)
    (write_run(folder, "stopped", None) / "card.json").unlink()
    return folder


@pytest.fixture(scope="module")
def honest(runs):
    return rank_runs(*entries_of([str(runs / name) for name in ("worst", "best", "kept", "middling")]))


@pytest.fixture(scope="module")
def across(runs):
    return rank_runs(*entries_in([runs]), across_splits=True, draws=100)


def names(group):
    return [row.entry.name for row in group.rows]


def test_the_best_is_first_and_each_has_its_place(honest):
    (group,) = honest.groups
    assert names(group) == ["best", "middling", "kept", "worst"]
    assert [row.rank for row in group.rows] == [1, 2, 3, 4]
    values = [row.value("balanced_accuracy") for row in group.rows]
    assert values == sorted(values, reverse=True)


def test_a_metric_of_which_less_is_better_is_sorted_upwards(runs):
    entries = entries_of([str(runs / name) for name in ("worst", "best", "middling")])[0]
    found = rank_runs(entries, by="log_loss", draws=100)
    assert names(found.groups[0]) == ["best", "middling", "worst"]
    assert not found.higher_is_better
    assert found.groups[0].rows[1].difference.value > 0
    of_class = rank_runs(entries, by="recall[mel]", draws=100).groups[0].rows[0]
    assert of_class.value("recall[mel]") == max(e.values["recall[mel]"] for e in entries)


def test_differences_are_the_paired_ones(honest):
    best, middling, kept, worst = honest.groups[0].rows
    assert best.difference is None and best.missing == ""
    assert kept.difference is None and kept.missing == "its predictions are not kept"
    for row, predictions in ((middling, spoilt(0.3)), (worst, spoilt(0.6))):
        expected = compare(predictions, CASES).differences["balanced_accuracy"]
        assert row.difference.value == pytest.approx(expected.value)
        assert row.difference.interval.low == pytest.approx(expected.interval.low)
        stated = row.value("balanced_accuracy") - best.value("balanced_accuracy")
        assert row.difference.value == pytest.approx(stated) and row.difference.clear


def test_equal_runs_share_a_place(tmp_path):
    write_run(tmp_path, "one", CASES)
    write_run(tmp_path, "same", CASES)
    write_run(tmp_path, "worse", spoilt(0.5))
    rows = rank_runs(*entries_in([tmp_path]), draws=100).groups[0].rows
    assert [row.rank for row in rows] == [1, 1, 3]
    assert rows[1].difference.value == 0 and not rows[1].difference.clear


def test_predictions_of_another_evaluation_are_noticed(tmp_path):
    write_run(tmp_path, "best", CASES)
    run = write_run(tmp_path, "other", spoilt(0.3))
    file = run / "evaluation" / "test" / "predictions.csv"
    CASES.table().to_csv(file, index=False)
    row = rank_runs(*entries_in([tmp_path]), draws=100).groups[0].rows[1]
    assert row.difference is None and "do not fit each other" in row.missing
    CASES.table().iloc[1:].to_csv(file, index=False)
    row = rank_runs(*entries_in([tmp_path]), draws=100).groups[0].rows[1]
    assert row.difference is None and "same images" in row.missing


def test_runs_of_different_splits_are_not_ranked_in_one_list(runs):
    entries, left = entries_in([runs])
    with pytest.raises(UsageError, match=r"same split and part\. Received 2: .*0123.*--across-splits"):
        rank_runs(entries, left)
    only = rank_runs(entries, left, split=OTHER[:6])
    assert [names(group) for group in only.groups] == [["leaky"]]
    with pytest.raises(UsageError, match="--split must begin"):
        rank_runs(entries, left, split="77")


def test_across_splits_each_split_is_ranked_for_itself_and_says_so(across):
    honest, leaky = across.groups
    assert names(honest) == ["best", "middling", "kept", "worst"] and names(leaky) == ["leaky"]
    assert [row.rank for row in leaky.rows] == [1] and leaky.rows[0].difference is None
    assert across.notes()[0].startswith("These runs stand on different splits")
    assert across.notes()[1].startswith("Too high (leaky, selection on test)")
    assert HASH[:12] in honest.title and OTHER[:12] in leaky.title


def test_a_leaky_protocol_is_marked_wherever_the_run_stands(across):
    row = across.groups[1].rows[0]
    assert row.entry.marks == ("leaky", "selection on test")
    for text in (render_markdown(across), render_html(across)):
        assert "paper (LEAKY, SELECTION ON TEST)" in text
    table = pd.read_csv(io.StringIO(render_csv(across))).set_index("run")
    assert table.loc["leaky", "too_high_because"] == "leaky; selection on test"
    assert pd.isna(table.loc["best", "too_high_because"])
    assert across.to_dict()["groups"][1]["runs"][0]["marks"] == ["leaky", "selection on test"]


def test_what_is_not_evaluated_is_named_with_the_command(across, runs):
    left = {one.name: one for one in across.left}
    assert left["unevaluated"].command == f"skinzoo evaluate {runs / 'unevaluated'}"
    assert left["stopped"].command == f"skinzoo train --resume {runs / 'stopped'}"
    assert str(left["unevaluated"]) in render_markdown(across)
    with pytest.raises(ModelError, match=r"skinzoo evaluate .*unevaluated"):
        rank_runs(*entries_of([str(runs / "unevaluated")]))


def test_another_part_and_its_stand_in(tmp_path):
    run = write_run(tmp_path, "a", CASES, place="validation", part="validation")
    entries, left = entries_of([str(run)])
    assert entries == [] and left[0].command == f"skinzoo evaluate {run}"
    assert [e.name for e in entries_of([str(run)], "validation")[0]] == ["a"]
    assert entries_of([str(run)], "train")[1][0].command.endswith(" --part train")
    # A split whose validation part is its test part too is evaluated under the part's own name.
    run = write_run(tmp_path, "b", CASES, aliases={"test": "validation"}, part="validation")
    assert [e.name for e in entries_of([str(run)])[0]] == ["b"]
    with pytest.raises(UsageError, match="`part` must be one of"):
        entries_of([str(run)], "tests")


def test_external_data_are_one_list_whatever_the_runs_were_trained_on(tmp_path):
    stated = {"protocol": "external", "dataset": "ph2", "part": "all cases", "place": "external-ph2"}
    write_run(tmp_path, "a", CASES, **stated)
    write_run(tmp_path, "b", spoilt(0.3), split_hash=OTHER, **stated)
    (group,) = rank_runs(*entries_in([tmp_path], "external"), draws=100).groups
    assert names(group) == ["a", "b"] and group.rows[1].difference is not None
    assert group.title == "ph2, external data: 300 images"
    assert entries_in([tmp_path])[1][0].reason == "not evaluated on its test part"


def test_views_at_prediction_stand_in_the_name(tmp_path):
    write_run(tmp_path, "a", spoilt(0.2))
    write_run(tmp_path, "a", CASES, place="test-flips", steps=("mean of 4 views (flips)",))
    (group,) = rank_runs(*entries_in([tmp_path]), draws=100).groups
    assert names(group) == ["a (mean of 4 views (flips))", "a"]


def test_an_undefined_metric_comes_last_without_a_place(tmp_path):
    write_run(tmp_path, "all", CASES)
    write_run(tmp_path, "without", spoilt(0.2))
    report = tmp_path / "without" / "evaluation" / "test" / "report.json"
    changed(report, lambda d: d["by_image"]["overall"].update(malignant_roc_auc=None))
    found = rank_runs(*entries_in([tmp_path]), by="malignant_roc_auc", draws=100)
    assert [(row.entry.name, row.rank) for row in found.groups[0].rows] == [("all", 1), ("without", None)]
    assert any(note.startswith("without: ") and "has no place" in note for note in found.notes())
    assert "| without | - | - | - |" in render_markdown(found)


@pytest.mark.parametrize(
    "damage", [lambda d: d.pop("by_image"), lambda d: d["provenance"].pop("stamps"), lambda d: d.clear()]
)
def test_a_damaged_evaluation(tmp_path, damage):
    run = write_run(tmp_path, "a", CASES)
    changed(run / "evaluation" / "test" / "report.json", damage)
    with pytest.raises(DataError, match=r"files as skinzoo writes them.*report\.json"):
        entries_of([str(run)])
    entries, left = entries_in([tmp_path])
    assert entries == [] and "report.json" in left[0].reason
    (run / "evaluation" / "test" / "report.json").write_text("[1")
    assert isinstance(entries_in([tmp_path])[1][0], Left)


def test_wrong_metric_folder_and_suffix(runs, honest, tmp_path):
    entries = [row.entry for row in honest.groups[0].rows]
    with pytest.raises(UsageError, match="Did you mean 'balanced_accuracy'") as failure:
        rank_runs(entries, by="balanced_acuracy")
    assert "recall[" not in failure.value.message
    with pytest.raises(UsageError, match=r"Did you mean 'recall\[mel\]'"):
        rank_runs(entries, by="recall[mell]")
    with pytest.raises(UsageError, match="folder of runs"):
        entries_in([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match=r"\.md, \.csv, \.html, \.json"):
        write_comparison(honest, tmp_path / "out.xls")


def test_the_papers_number_stands_beside_with_its_protocol(honest):
    row = honest.groups[0].rows[0]
    paper = row.published[0]
    # Run M24 of Nguyen et al.: macro recall, which is balanced accuracy.
    assert (paper.value, paper.run, paper.protocol, paper.cases) == (0.7931, "M24", "paper", 996)
    assert paper.warning == LEAKY_PROTOCOLS["paper"]
    assert paper.short("ham10000") == "0.793 (paper, leaky)"
    assert paper.short("sample") == "0.793 (HAM10000, paper, leaky)"
    assert any("own protocols" in note for note in honest.notes())
    result = registry().get(VariantSpec, "mobilenetv3small").published[0]
    assert published_value(result, "roc_auc_macro") == 0.9590
    assert published_value(result, "accuracy") == 0.77510
    assert published_value(result, "log_loss") is None


def test_a_run_that_is_not_the_registered_variant_says_so(honest):
    assert honest.groups[0].rows[-1].deviations == {"fusion": ("mlp", "concat4096")}
    assert "worst is not the variant as registered: fusion mlp instead of concat4096." in honest.notes()
    assert not honest.groups[0].rows[0].deviations


def profile_of(entry, **built):
    row = {
        "variant": "mobilenetv3small",
        "built": {**entry.card["variant"], **built},
        "device": "CPU:0",
        "flops": {"total": 113_000_000},
        "latency": {"median": 0.0123, "batch": 1},
        "throughput": {"median": 0.2, "batch": 32, "images_per_second": 160.0},
        "error": None,
    }
    return Profile(ProfileSettings(), {"processor": "A processor"}, [row])


def test_costs_are_those_of_the_same_network(honest):
    entries = [row.entry for row in honest.groups[0].rows]
    found = rank_runs(entries, profiles=[profile_of(entries[0])], draws=100)
    best, *_, worst = found.groups[0].rows
    assert (best.costs.flops, best.costs.latency, best.costs.batch) == (113_000_000, 0.0123, 32)
    assert best.costs.parameters == 990_010
    assert worst.costs.flops is None and worst.costs.parameters == 990_010
    assert "fusion concat4096 instead of mlp" in worst.unknown_costs
    markdown = render_markdown(found)
    assert "| 990,010 | 0.113 | 12.3 | 160 |" in markdown and "Measured on CPU:0 of A processor" in markdown
    smaller = rank_runs(entries, profiles=[profile_of(entries[0], image_size=64)], draws=100)
    assert smaller.groups[0].rows[0].costs.flops is None
    assert "image_size 64 instead of 224" in smaller.groups[0].rows[0].unknown_costs


def test_profiles_of_other_batches_and_precision_are_told_apart(honest):
    entries = [row.entry for row in honest.groups[0].rows]
    profile, other = profile_of(entries[0]), profile_of(entries[-1])
    other.settings = ProfileSettings(batch=8, precision="bfloat16")
    other.rows[0]["throughput"]["batch"] = 8
    markdown = render_markdown(rank_runs(entries, profiles=[profile, other], draws=100))
    assert "160 (batch 32)" in markdown and "160 (batch 8)" in markdown
    assert "A processor; CPU:0 of A processor, bfloat16" in markdown


def test_an_ensemble_has_no_papers_number_and_no_profile(tmp_path):
    run = write_run(tmp_path, "several", CASES)
    changed(run / "card.json", lambda card: card.update(ensemble={"method": "mean"}, seed=None))
    entry = entries_of([str(run)])[0][0]
    row = rank_runs([entry], profiles=[profile_of(entry)], draws=100).groups[0].rows[0]
    assert row.published == () and row.costs.flops is None and "ensemble" in row.unknown_costs
    assert row.costs.parameters == 990_010


@pytest.mark.parametrize("suffix", [".md", ".csv", ".html", ".json"])
def test_files_say_the_same(across, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    write_comparison(across, path)
    text = path.read_text(encoding="utf-8")
    for group in across.groups:
        for row in group.rows:
            assert row.entry.name in text
    if suffix == ".json":
        found = json.loads(text, parse_constant=pytest.fail)
        assert found == json.loads(json.dumps(across.to_dict())) and found["across_splits"] is True
    if suffix == ".csv":
        table = pd.read_csv(path).set_index("run")
        row = across.groups[0].rows[1]
        assert table.loc["middling", "balanced_accuracy"] == pytest.approx(row.value("balanced_accuracy"))
        assert table.loc["middling", "minus_best_low"] == pytest.approx(row.difference.interval.low, abs=1e-6)
        assert table.loc["middling", "paper_protocol"] == "paper"
        assert list(table["split_hash"]) == [HASH] * 4 + [OTHER]


def test_the_page_stands_alone(across):
    page = Page(render_html(across))
    assert [a for a in page.addresses if not a.startswith(("data:", "#"))] == []
    assert ["best 0." in image["alt"] for image in page.images] == [True]


@pytest.mark.skipif(sys.platform != "linux", reason="chromium's place is known on Linux only")
@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(across, tmp_path, browser, width):
    path = tmp_path / "comparison.html"
    write_comparison(across, path)
    console, requests = seen(browser, path.as_uri(), width)
    assert console == [] and requests == [path.as_uri()]
    check_pictures(browser, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert "different splits" in browser.execute_script(
        "return document.querySelector('[role=alert]').innerText"
    )
