"""Variants in processes of their own: rows, errors, files to go on with, ratios."""

import json
import shutil

import pytest

from skinzoo.errors import DataError, UsageError
from skinzoo.profile.record import Profile, cost, ratios, read_profile
from skinzoo.profile.request import ProfileSettings
from skinzoo.profile.service import measure_in_child, profile
from skinzoo.profile.tables import ratio_line, render_markdown, short_rows

QUICK = ProfileSettings(
    batch=2, repeats=3, seconds=0.1, warm_up=1, choices={"attention": "soft_as_coded", "classes": 7}
)
DEADLY = """
import os, signal
from skinzoo.api import BackboneSpec, Cut, VariantSpec, hookimpl

def build(request):
    os.kill(os.getpid(), signal.SIGKILL)

@hookimpl
def skinzoo_backbones():
    return [BackboneSpec(name="deadly", title="Ends its process", build=build, input_size=32,
                         preprocess="unit", cuts=(Cut(name="a", anchor="a"),), licence="none")]

@hookimpl
def skinzoo_variants():
    return [VariantSpec(name="deadly", title="Ends its process", backbone="deadly", attention="soft",
                        fusion="mlp")]
"""


@pytest.fixture
def deadly(tmp_path, monkeypatch):
    """A plugin, installed for child processes, whose backbone ends the process that builds it."""
    site = tmp_path / "site"
    information = site / "deadly_plugin-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "deadly_plugin.py").write_text(DEADLY)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly-plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[skinzoo]\ndeadly-plugin = deadly_plugin\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    return "deadly"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A small variant, really measured, in a file."""
    path = tmp_path_factory.mktemp("profile") / "costs.json"
    return profile(["cnn"], QUICK, to=path), path


@pytest.fixture(scope="module")
def both(measured, tmp_path_factory):
    """The same with a larger variant, added to a copy of the file."""
    path = tmp_path_factory.mktemp("both") / "costs.json"
    shutil.copy(measured[1], path)
    return profile(["cnn", "mobilenetv2"], QUICK, to=path)


def check_figures(row):
    assert row["error"] is None and row["stage"] == ""
    assert 0 < row["latency"]["fastest"] <= row["latency"]["median"] <= row["latency"]["p90"]
    assert row["latency"]["batch"] == 1 and row["throughput"]["batch"] == row["training"]["batch"] == 2
    # A step of training does a forward pass and more.
    assert row["training"]["fastest"] > row["throughput"]["fastest"] * 0.5
    memory = [row["memory"][stage]["host"] for stage in ("before", "inference", "training")]
    assert memory == sorted(memory) and memory[0] > 50 * 2**20 and memory[2] < 8 * 2**30
    assert row["built"]["attention"] == "soft_as_coded"


def test_every_figure_is_measured(measured):
    (row,) = measured[0].rows
    assert row["variant"] == "cnn"
    check_figures(row)


@pytest.mark.slow
def test_a_published_network_is_measured(both):
    small, large = both.rows
    assert [row["variant"] for row in (small, large)] == ["cnn", "mobilenetv2"]
    check_figures(large)
    assert large["latency"]["median"] > small["latency"]["median"]
    # Run M23 of Nguyen et al., as its notebook prints it.
    assert large["parameters"] == {"trainable": 1_334_039, "non_trainable": 20_675, "total": 1_354_714}
    assert large["bytes"] == 4 * 1_354_714 and large["built"]["image_size"] == 224
    # Sandler et al. 2018 state 300 million multiply-adds for the whole network at 224 pixels; the cut leaves
    # out the last two convolutions and the classifier.
    assert 0.2e9 < large["flops"]["multiply_adds"] < 0.3e9 < large["flops"]["total"]
    text = render_markdown(both)
    assert "| mobilenetv2 | 224 x 224 | 1,334,039 | 1,354,714 |" in text
    assert "0.8092 (paper, leaky)" in text


def test_a_file_is_gone_on_with(measured, tmp_path):
    found, path = measured
    copy = tmp_path / "costs.json"
    document = json.loads(path.read_text())
    short = ProfileSettings(**{**QUICK.to_dict(), "training": False})
    document |= {"rows": document["rows"][:1], "settings": short.to_dict()}
    copy.write_text(json.dumps(document))
    said = []
    again = profile(["cnn"], short, to=copy, began=lambda *what: said.append(what))
    assert said == [] and again.rows == found.rows[:1]
    failed = {**found.rows[0], "error": "memory ran out", "stage": "training"}
    copy.write_text(json.dumps({**document, "rows": [failed]}))
    again = profile(["cnn"], short, to=copy, began=lambda *what: said.append(what))
    assert said == [("cnn", 1, 1)] and again.rows[0]["error"] is None
    assert "training" not in again.rows[0]
    assert read_profile(copy).rows == again.rows


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch": 4}, "batch: 4, in the file 2"),
        ({"choices": {"image_size": 64}}, "choices"),
        ({"threads": 1}, "threads"),
    ],
)
def test_rows_of_other_conditions_do_not_mix(measured, settings, words):
    other = ProfileSettings(**{**QUICK.to_dict(), **settings})
    with pytest.raises(UsageError, match="same conditions") as failure:
        profile(["cnn"], other, to=measured[1])
    assert words in failure.value.message and "--anew" in failure.value.hint


def test_rows_of_another_machine_do_not_mix(measured, tmp_path):
    document = json.loads(measured[1].read_text())
    document["conditions"]["processor"] = "Another processor"
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="in the file Another processor"):
        profile(["cnn"], QUICK, to=tmp_path / "a.json")
    found = read_profile(measured[1])
    with pytest.raises(UsageError, match="on one device, CPU:0"):
        found.add({"variant": "x", "device": "GPU:0", "error": None})


def test_a_process_that_dies_leaves_a_row(deadly):
    row = measure_in_child(deadly, QUICK)
    assert row["error"] == "the process was ended by SIGKILL, most often because memory ran out"
    assert row["stage"] == "build" and row["built"]["backbone"] == "deadly"


@pytest.mark.slow
def test_what_was_measured_before_memory_ran_out_is_kept():
    # A batch of 32 TB of images, which no machine allocates.
    row = measure_in_child("cnn", ProfileSettings(**{**QUICK.to_dict(), "batch": 10**10}))
    assert row["stage"] == "throughput" and "MemoryError" in row["error"]
    assert row["parameters"]["total"] > 0 and row["latency"]["repeats"] == 3 and "training" not in row
    found = Profile.begin(QUICK)
    found.add(row)
    assert "**cnn** ended in stage 'throughput'" in render_markdown(found)
    assert short_rows(found)[1][0][-2] == "-"
    assert found.measured == {}


def test_a_variant_that_takes_too_long_is_given_up():
    row = measure_in_child("cnn", ProfileSettings(timeout=0.2))
    assert row["error"] == "given up after 0.2 s" and row["stage"] in ("start", "build")


def test_a_choice_that_a_variant_cannot_make_is_its_error():
    row = measure_in_child("mobilenetv2", ProfileSettings(choices={"image_size": 8}))
    assert "`image_size` must be at least" in row["error"] and row["stage"] == "build"


def test_ratios_are_those_of_the_rows(measured):
    (small,) = measured[0].rows
    large = json.loads(json.dumps(small)) | {"variant": "large"}
    large["parameters"]["total"] *= 3
    large["flops"]["total"] *= 5
    large["latency"]["median"] *= 2
    # Four times the time for twice the images.
    large["training"] |= {"median": 4 * small["training"]["median"], "batch": 4}
    found = ratios([small, large], "cnn", "large")
    assert found == pytest.approx({"parameters": 3, "flops": 5, "latency": 2, "throughput": 1, "training": 2})
    inverse = ratios([small, large], "large", "cnn")
    assert inverse["flops"] == pytest.approx(1 / 5)
    assert ratio_line(found, "cnn", "large").startswith("large / cnn: parameters 3x, FLOPs 5x, ")
    with pytest.raises(UsageError, match="resnet50, of which there is no row"):
        ratios([small, large], "cnn", "resnet50")
    del large["training"]
    without = ratios([small, large], "cnn", "large")
    assert without["training"] is None
    assert "(not measured: seconds an image in training)" in ratio_line(without, "cnn", "large")
    assert cost(small, "throughput") == pytest.approx(small["throughput"]["median"] / 2)


def test_the_markdown_states_conditions_and_method(measured):
    text = render_markdown(measured[0], ["a ratio"])
    assert "| cnn | 32 x 32 | " in text
    for words in (
        "CPU:0",
        "cores",
        "tensorflow 2.21",
        "calls to warm up",
        "- a ratio",
        "multiplication and an",
    ):
        assert words in text
    titles, rows = short_rows(measured[0])
    assert all(len(row) == len(titles) for row in rows)


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"kind": "skinzoo profile", "format": 9}'])
def test_another_file_is_no_profile(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match="A profile must be a file"):
        read_profile(path)
    with pytest.raises(DataError, match="No such file"):
        read_profile(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: d["conditions"].pop("packages"), "no 'packages'"),
        (lambda d: d["conditions"].pop("processor"), "no 'processor'"),
        (lambda d: d["rows"][0].pop("latency"), "no latency in the row of cnn"),
        (lambda d: d["rows"][0].pop("error"), "no 'error'"),
        (lambda d: d["settings"].update(batch=0), "`batch` must be at least 1"),
        (lambda d: d["settings"].update(colour="red"), "colour"),
    ],
)
def test_a_damaged_profile(measured, tmp_path, damage, words):
    document = json.loads(measured[1].read_text())
    damage(document)
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="A profile must be a file") as failure:
        read_profile(tmp_path / "a.json")
    assert words in failure.value.message


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0}, {"repeats": 2}, {"warm_up": 0}, {"seconds": 0.0}, {"seconds": float("nan")},
        {"timeout": -1.0}, {"precision": "float64"}, {"threads": -1},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_settings(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        ProfileSettings(**wrong)
