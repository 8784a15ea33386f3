"""Whole trainings of the small CNN on the sample, in this process."""

import csv
import json
import signal

import numpy as np
import pytest

from skinzoo.data.splits import Split
from skinzoo.errors import DataError, ModelError, PluginError, StoppedError, UsageError
from skinzoo.model import load_model
from skinzoo.runs import Run
from skinzoo.training import prepare
from skinzoo.training.lock import locked
from skinzoo.training.plan import make_plan
from skinzoo.training.request import TrainRequest, resolve_request
from skinzoo.training.runs import NoRoomError, RunFolder, list_runs
from skinzoo.training.trainer import begin, resume, train

from .conftest import Recorder, same_weights, weights_of, without_times

FILES = {
    *("config.json", "environment.json", "split.json", "classes.json", "weights.json", "card.json"),
    *("history.csv", "model.keras", "curves.png", "checkpoints"),
}


@pytest.fixture(scope="module")
def finished(sample_home, tmp_path_factory):
    """A run that several tests read."""
    from skinzoo.config import make_config

    from .conftest import TINY

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINZOO_HOME", str(sample_home))
        recorder = Recorder()
        result = train(
            make_config("cnn", assignments=TINY), folder=tmp_path_factory.mktemp("runs"), listener=recorder
        )
    return RunFolder(result.run), result, recorder


def test_a_name_that_is_taken_gets_a_number_and_a_notice(tiny, tmp_path):
    recorder = Recorder()
    runs = [begin(tiny(), folder=tmp_path, name="mine", listener=recorder)[0] for _ in range(2)]
    assert [run.name for run in runs] == ["mine", "mine-2"]
    assert recorder.notices == ["The name 'mine' is taken: this run is 'mine-2'."]


def test_a_run_has_all_its_files(finished):
    run, result, recorder = finished
    assert {path.name for path in run.path.iterdir() if not path.name.startswith(".")} == FILES
    assert run.state == "finished"
    assert result.epochs == len(recorder.rows) == 3
    with (run.path / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    card = json.loads((run.path / "card.json").read_text())
    assert card["best_epoch"] == result.best_epoch
    assert card["split"]["hash"] == Split.load(run.path / "split.json").hash
    assert card["recipe_hash"] == run.config().recipe_hash
    assert card["weights"]["origin"] == "none"
    assert len(card["class_weights"]) == 7
    assert (run.path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert run.classes() == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def test_the_model_is_the_best_epochs(finished):
    run, result, _ = finished
    model = load_model(run.path / "model.keras")
    assert same_weights(model.get_weights(), weights_of(run))
    again = Run(run).evaluate("validation")
    assert again.accuracy == pytest.approx(result.scores["val_accuracy"])
    assert again.balanced_accuracy == pytest.approx(result.scores["val_balanced_accuracy"])
    assert again.macro_f1 == pytest.approx(result.scores["val_macro_f1"])


def test_val_loss_is_the_unweighted_cross_entropy(finished):
    import keras

    run, result, _ = finished
    loss, options = run.config().loss, dict(run.config().loss.options)
    assert (loss.name, options) == ("weighted_ce", {"power": 0.5}), "the training loss must be another"
    config = run.config()
    cases = prepare.read_cases(config, Split.load(run.path / "split.json"))
    images = prepare.load_images(config, cases, 32)
    model = load_model(run.path / "model.keras")
    probabilities = model.predict(prepare.validation_batches(config, cases, images).epochs(0, 1), verbose=0)
    labels = prepare.one_hot(cases.part("validation"), cases.classes)
    expected = float(keras.losses.CategoricalCrossentropy()(labels, probabilities))
    assert result.scores["val_loss"] == pytest.approx(expected, rel=1e-4)


def test_steps_are_reported(finished):
    _, _, recorder = finished
    assert [(r.epoch, r.step) for r in recorder.steps if r.step == r.steps] == [(1, 4), (2, 4), (3, 4)]
    first, *_, last = recorder.steps
    # The first steps trace and compile; what they take says nothing of the others.
    assert (first.images_per_second, first.seconds_left) == (None, None)
    assert last.images_per_second > 0
    assert last.seconds_left >= 0
    known = [report.seconds_left for report in recorder.steps if report.seconds_left is not None]
    assert len(known) >= 6
    assert recorder.beginning["cases"].keys() == {"train", "validation", "test"}


def test_the_run_is_listed(finished):
    run, result, _ = finished
    (found,) = list_runs(run.path.parent)
    assert (found.name, found.state, found.best_epoch) == (run.name, "finished", result.best_epoch)
    assert found.scores["val_macro_f1"] == pytest.approx(result.scores["val_macro_f1"])


def test_a_finished_run_is_not_gone_on_with(finished):
    with pytest.raises(UsageError, match="which is finished"):
        resume(finished[0])


def test_a_run_that_is_removed_meanwhile_is_an_error_that_says_so(finished, tmp_path):
    run = RunFolder(tmp_path / "gone")
    with pytest.raises(ModelError, match=r"must exist to be trained.*removed meanwhile"):
        resume(run)
    copy = unfinished(finished, tmp_path)
    with locked(copy.path):
        with pytest.raises(UsageError, match="used by process"):
            resume(copy)
        copy.remove()
        assert not copy.path.exists()
        assert not list(tmp_path.glob(".*.part"))
        with pytest.raises(ModelError, match="removed meanwhile"):
            resume(copy)


def test_the_same_seed_gives_the_same_history_and_another_another(tiny_train):
    settings = ("hardware.deterministic=true", "training.epochs=2")
    first, second, other = (tiny_train(*settings, *more) for more in ((), (), ("training.seed=1",)))
    assert without_times(first[0].history()) == without_times(second[0].history())
    assert same_weights(weights_of(first[0]), weights_of(second[0]))
    assert without_times(first[0].history()) != without_times(other[0].history())


def test_head_first_leaves_the_backbone_alone(tiny_train, tiny, tmp_path, sample_home):
    model = tmp_path / "pretrained.keras"
    import skinzoo

    source = skinzoo.create_model("cnn")
    source.save(model)
    before = source.get_layer("backbone").get_weights()
    run, _, recorder = tiny_train(
        f"model.weights={model}", "training.head_epochs=1", "training.epochs=2", "training.select=val_loss"
    )
    assert [row["phase"] for row, _ in recorder.rows] == ["head", "whole"]
    frozen, _, _ = tiny_train(f"model.weights={model}", "training.freeze_backbone=true", "training.epochs=1")
    after = load_model(frozen.path / "model.keras").get_layer("backbone").get_weights()
    assert same_weights(before, after)
    assert json.loads((run.path / "card.json").read_text())["weights"]["origin"] == "pretrained.keras"


@pytest.mark.parametrize(
    "settings",
    [
        (
            "schedule.name=plateau",
            "schedule.patience=1",
            "optimizer.name=sgd",
            "optimizer.weight_decay=0.001",
        ),
        ("loss.name=weighted_focal", "loss.options={}", "balance.method=class_balanced"),
        ("loss.name=mwnl", "training.steps_per_epoch=2", "training.batch_norm=reestimate"),
        ("balance.method=oversample", "balance.per_class=12", "augmentation.cutout=8"),
        ("data.bgr=true", "data.resize=crop", 'data.preprocessing=["shades_of_gray"]', "optimizer.name=adam"),
    ],
)
def test_settings_reach_the_training(tiny_train, settings):
    run, result, recorder = tiny_train(*settings, "training.epochs=2")
    assert result.epochs == 2
    steps = {r.steps for r in recorder.steps}
    if "training.steps_per_epoch=2" in settings:
        assert steps == {2}
    elif "balance.per_class=12" not in settings:
        assert steps == {4}
    is_bgr = "data.bgr=true" in settings
    assert load_model(run.path / "model.keras").get_layer("preprocess").bgr is is_bgr
    decoding = json.loads((run.path / "card.json").read_text())["decoding"]
    assert (decoding["resize"], decoding["preprocessing"]) == (
        ("crop", ["shades_of_gray"]) if is_bgr else ("squash", [])
    )
    if "balance.per_class=12" in settings:
        # Seven classes of at least 12 rows are more than the 29 cases of the part.
        assert min(steps) >= 7 * 12 // 8
    assert all(np.isfinite(row["loss"]) for row, _ in recorder.rows)


def test_the_first_epochs_on_smaller_images_train_the_same_network(tiny_train):
    run, result, recorder = tiny_train(
        "training.small_epochs=2", "training.head_epochs=0", "training.epochs=4"
    )
    assert [row["phase"] for row, _ in recorder.rows] == ["small", "small", "whole", "whole"]
    assert [best for _, best in recorder.rows[:3]] == [False, False, True]
    assert result.best_epoch > 2
    assert load_model(run.path / "model.keras").input["image"].shape[1] == 32


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        pytest.param(
            *("model.pooling=flatten", "with pooling 'flatten' the weights depend on the size"),
            marks=pytest.mark.slow,
        ),
        ("training.method=linear", "method 'linear' computes features of one size"),
    ],
)
def test_a_network_that_has_one_size_goes_without_smaller_images(tiny, tiny_train, setting, words):
    settings = ("training.small_epochs=1", "training.epochs=2", setting)
    *_, recorder = tiny_train(*settings)
    assert [row["phase"] for row, _ in recorder.rows] == ["whole"] * 2
    notice = f"No epochs on smaller images than 32 pixels: {words}."
    assert notice in recorder.notices
    assert notice in make_plan(tiny(*settings)).notices


@pytest.mark.parametrize("recipe", ["frozen", "linear"])
def test_features_are_computed_once_and_trained_on(tiny_train, sample_home, recipe):
    run, result, recorder = tiny_train("training.views=2", "training.epochs=3", "data.seed=5", recipe=recipe)
    assert any("here its weights are random" in notice for notice in recorder.notices)
    folders = set((sample_home / "cache" / "features").iterdir())
    changed = {path: path.stat().st_mtime for path in folders}
    _, again, _ = tiny_train("training.views=2", "training.epochs=3", "data.seed=5", recipe=recipe)
    assert {path: path.stat().st_mtime for path in (sample_home / "cache" / "features").iterdir()} == changed
    assert without_times(run.history()) == without_times(RunFolder(again.run).history())
    # The whole model on pixels scores as the part on cached features did.
    scores = Run(run).evaluate("validation")
    assert scores.balanced_accuracy == pytest.approx(result.scores["val_balanced_accuracy"], abs=0.05)


def test_early_stopping(tiny_train):
    _, result, recorder = tiny_train(
        "training.epochs=50", "training.patience=1", "optimizer.learning_rate=1e-9"
    )
    assert result.ended_early
    assert result.epochs == len(recorder.rows) < 50


def test_a_loss_that_is_not_finite_stops_and_keeps_the_best(tiny, tmp_path, recorder):
    config = tiny("optimizer.name=sgd", "optimizer.learning_rate=100", "optimizer.clip_norm=none",
                  "optimizer.weight_decay=50", "schedule.name=constant", "training.epochs=30",
                  "schedule.warmup_epochs=2", "training.checkpoint_minutes=0")  # fmt: skip
    with pytest.raises(ModelError, match=r"must be finite. Received: nan in epoch \d+, step \d+") as caught:
        train(config, folder=tmp_path, name="nan", listener=recorder)
    assert "lower --set optimizer.learning_rate" in caught.value.hint
    run = RunFolder(tmp_path / "nan")
    assert run.state == "failed"
    (found,) = list_runs(tmp_path)
    assert "must be finite" in found.problem
    kept = run.checkpoints.latest()
    assert kept is not None
    assert all(np.isfinite(array).all() for array in kept.variables()["model"])
    assert len(recorder.rows) == len(kept.state["history"])


def test_what_cannot_be_trained_is_refused(tiny, tmp_path):
    with pytest.raises(UsageError, match=r"`training\.batch_size` must be at most the 29 cases"):
        train(tiny("training.batch_size=64"), folder=tmp_path)
    with pytest.raises(PluginError, match="Did you mean 'weighted_ce'"):
        train(tiny("loss.name=weighted_cee"), folder=tmp_path)
    with pytest.raises(UsageError, match="which takes none"):
        train(tiny("loss.name=ce", "loss.class_weights=[1,1,1,1,1,1,1]"), folder=tmp_path)
    with pytest.raises(UsageError, match="7 numbers"):
        train(tiny("loss.class_weights=[1, 2]", "loss.options.power=1.0"), folder=tmp_path)
    with pytest.raises(UsageError, match="must repeat or leave out rows"):
        train(tiny("training.method=frozen", "balance.method=smote"), folder=tmp_path)
    with pytest.raises(UsageError, match=r"hardware\.devices"):
        train(tiny("hardware.devices=GPU:9"), folder=tmp_path)
    with pytest.raises(UsageError, match="--name"):
        train(tiny(), folder=tmp_path, name="../x")
    with pytest.raises(ModelError, match="not a file"):
        train(tiny(f"model.weights={tmp_path / 'none.h5'}"), folder=tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()], (
        "nothing is left of what could not begin"
    )


def test_class_weights_by_name_are_those_of_the_named_classes(tiny):
    import dataclasses

    config = tiny(recipe="paper")
    cases = prepare.read_cases(tiny())
    assert prepare.class_weights(config, cases) == pytest.approx((4.37, 2.78, 1.3, 12.44, 1.28, 0.21, 10.0))
    other = cases.table.copy()
    turned = tuple(reversed(cases.classes))
    other.attrs = {**cases.table.attrs, "classes": turned}
    turned_cases = dataclasses.replace(cases, table=other)
    assert prepare.class_weights(config, turned_cases) == pytest.approx(
        (10.0, 0.21, 1.28, 12.44, 1.3, 2.78, 4.37)
    )
    foreign = cases.table.copy()
    foreign.attrs = {**cases.table.attrs, "classes": tuple("abcdefg")}
    for recipe in ("paper", "datta"):
        with pytest.raises(UsageError, match=r"must name the classes of the data, a, b.*from_counts"):
            prepare.class_weights(tiny(recipe=recipe), dataclasses.replace(cases, table=foreign))


def split_with(tiny, tmp_path, change):
    """Return the path of a split whose assignment was changed and whose hash is right."""
    import dataclasses

    cases = prepare.read_cases(tiny())
    assignment = change(
        dict(cases.split.assignment), dict(zip(cases.table["image_id"], cases.table["label"], strict=True))
    )
    split = dataclasses.replace(cases.split, assignment=assignment)
    split.save(tmp_path / "split.json")
    return tmp_path / "split.json"


def test_a_training_part_without_cases_or_without_a_class_is_refused(tiny, tmp_path):
    path = split_with(tiny, tmp_path, lambda parts, labels: dict.fromkeys(parts, "test"))
    with pytest.raises(DataError, match="The training part must hold cases"):
        train(tiny(f"data.split={path}"), folder=tmp_path)
    path = split_with(
        tiny,
        tmp_path,
        lambda parts, labels: {i: "test" if labels[i] == "df" else part for i, part in parts.items()},
    )
    with pytest.raises(DataError, match=r"Received: none of df\."):
        train(tiny(f"data.split={path}"), folder=tmp_path)
    path = split_with(
        tiny,
        tmp_path,
        lambda parts, labels: {i: "train" if p == "validation" else p for i, p in parts.items()},
    )
    with pytest.raises(DataError, match="The validation part must hold cases"):
        train(tiny(f"data.split={path}"), folder=tmp_path)


def unfinished(finished, tmp_path):
    """Return a copy of a run as a kill before its first step leaves it."""
    import shutil

    run = tmp_path / "copy"
    shutil.copytree(finished[0].path, run)
    for name in ("card.json", "model.keras", "history.csv"):
        (run / name).unlink()
    shutil.rmtree(run / "checkpoints")
    return RunFolder(run)


def test_a_run_in_use_or_with_other_data_is_not_gone_on_with(finished, tmp_path):
    run = unfinished(finished, tmp_path)
    with locked(run.path), pytest.raises(UsageError, match="must not be in use"):
        resume(run)
    document = json.loads((run.path / "classes.json").read_text())
    (run.path / "classes.json").write_text(json.dumps(document[:-1]))
    with pytest.raises(DataError, match="must have the classes of the run's model"):
        resume(run)
    (run.path / "classes.json").write_text(json.dumps(document))
    config = json.loads((run.path / "config.json").read_text())
    config["config"]["data"]["options"]["images"] = 100
    (run.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="The split must fit the table"):
        resume(run)


def test_a_run_that_never_began_begins(finished, tmp_path):
    run = unfinished(finished, tmp_path)
    result = resume(run)
    assert result.epochs == 3
    assert run.state == "finished"


def test_the_bare_request_takes_the_sample_and_is_short(monkeypatch):
    monkeypatch.delenv("SKINZOO_DATA", raising=False)
    config, notices = resolve_request(TrainRequest(variant="nasnetmobile"))
    assert config.data.dataset == "sample"
    assert config.training.epochs == 3
    assert any("built-in sample" in notice for notice in notices)
    assert any("3 epochs" in notice for notice in notices)
    config, _ = resolve_request(TrainRequest(variant="cnn", assignments=("training.epochs=9",)))
    assert config.training.epochs == 9
    # A network for images of 32 pixels takes a fiftieth of the time.
    config, notices = resolve_request(TrainRequest(variant="cnn"))
    assert (config.recipe, config.training.epochs, len(notices)) == ("scratch", 60, 1)
    one = TrainRequest(variant="cnn", options={"model": {"image_size": 96}})
    assert resolve_request(one)[0].training.epochs == 16
    config, _ = resolve_request(TrainRequest(variant="cnn", recipe="datta"))
    assert (config.training.steps_per_epoch, config.balance.per_class) == (None, None)


def test_a_named_dataset_is_read_from_where_the_data_are(monkeypatch, tmp_path):
    monkeypatch.setenv("SKINZOO_DATA", str(tmp_path))
    named = {"data": {"dataset": "ham10000"}}
    config, _ = resolve_request(TrainRequest(variant="cnn", options=named))
    assert (config.data.path, config.data.dataset) == (str(tmp_path), "ham10000")
    config, _ = resolve_request(TrainRequest(variant="cnn", options={"data": {"dataset": "sample"}}))
    assert (config.data.path, config.data.dataset) == ("", "sample")
    monkeypatch.delenv("SKINZOO_DATA")
    with pytest.raises(DataError, match="must have been downloaded"):
        resolve_request(TrainRequest(variant="cnn", options=named))


def test_a_plan_says_what_would_be(tiny):
    plan = make_plan(tiny("training.epochs=10"))
    assert (plan.steps, plan.epochs) == (4, 10)
    assert plan.parameters == 198_011
    assert plan.hours == pytest.approx(10 * 4 * plan.seconds_per_step / 3600, rel=0.9)
    assert plan.memory_gib > 0.1
    assert plan.settings["training"]["epochs"] == 10
    assert not plan.steps_are_estimated


def test_a_plan_says_which_parts_are_not_the_variants_own(tiny):
    assert not any("Other parts" in notice for notice in make_plan(tiny(recipe="scratch")).notices)
    changed = make_plan(tiny("model.attention=none", "model.fusion=image_only", recipe="scratch"))
    assert changed.notices[0] == (
        "Other parts than those of 'cnn' (in brackets) are trained: attention none (soft), "
        "fusion image_only (mlp)."
    )


def test_a_plan_times_features_and_the_steps_on_them_apart(tiny):
    whole, frozen = make_plan(tiny()), make_plan(tiny(recipe="frozen"))
    assert whole.feature_seconds is None
    assert frozen.feature_seconds > 0
    assert frozen.trainable < whole.trainable
    assert frozen.parameters == whole.parameters
    assert frozen.hours * 3600 > frozen.feature_seconds + 0.9 * 3 * frozen.steps * frozen.seconds_per_step
    assert frozen.changes["training.batch_size"] == 8
    assert set(frozen.changes) == {
        *("data.dataset", "data.options", "data.protocol_options"),
        *("training.epochs", "training.batch_size"),
    }


def test_a_plan_estimates_the_steps_of_synthetic_balancing(tiny):
    plan = make_plan(tiny("balance.method=smote"))
    largest = max(prepare.read_cases(tiny()).training_counts())
    assert (plan.steps, plan.steps_are_estimated) == (-(-7 * largest // 8), True)


def test_a_full_disk_at_the_first_checkpoint_leaves_a_run_to_go_on_with(tiny, tmp_path, recorder):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Fills(Recorder):
        def began(self, summary):
            # The first checkpoint, of 198,011 weights, is larger.
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))

    try:
        with pytest.raises(ModelError, match="must have room") as caught:
            train(tiny("training.epochs=1"), folder=tmp_path, name="full", listener=Fills())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run = RunFolder(tmp_path / "full")
    assert caught.value.hint == (
        "The run 'full' is kept; none of its steps is saved yet. Make room. "
        f"Go on with: skinzoo train --resume {run.path}"
    )
    assert run.state == "stopped"
    assert resume(run).epochs == 1


def test_a_full_disk_before_the_first_step_keeps_the_run(tiny, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path / "home"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Fills(Recorder):
        def prepared(self, what, done, total):
            if what == "Decoding images" and done == total:
                # The cache of features is larger.
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))

    config = tiny("training.epochs=1", "training.views=1", recipe="frozen")
    try:
        with pytest.raises(NoRoomError, match="must have room") as caught:
            train(config, folder=tmp_path, name="full", listener=Fills())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "none of its steps is saved yet" in caught.value.hint
    assert resume(RunFolder(tmp_path / "full")).epochs == 1


def test_frozen_backbones_with_random_weights_are_warned_of(tiny_train):
    _, _, recorder = tiny_train("training.freeze_backbone=true", "training.epochs=1")
    assert any("`freeze_backbone` keeps the backbone" in notice for notice in recorder.notices)
    assert not any("all layers are trained" in notice for notice in recorder.notices)


def other_copy(split):
    """Make the split of a file that of another copy of the same cases."""
    import dataclasses

    dataclasses.replace(Split.load(split), fingerprint="0" * 64).save(split)


def test_data_that_changed_since_the_run_began_are_refused(finished, tmp_path):
    run = unfinished(finished, tmp_path)
    other_copy(run.path / "split.json")
    with pytest.raises(
        DataError, match=r"those that the run began with\. Received: .*other files or metadata"
    ):
        resume(run)


def test_a_split_of_another_copy_is_noted(tiny, tmp_path):
    path = split_with(tiny, tmp_path, lambda parts, labels: parts)
    other_copy(path)
    config = tiny(f"data.split={path}")
    notices = prepare.case_notices(prepare.read_cases(config), config)
    assert any("made on another copy" in notice for notice in notices)


@pytest.mark.parametrize(
    ("what", "recipe"),
    [("Decoding images", "default"), pytest.param("Computing features", "frozen", marks=pytest.mark.slow)],
)
def test_a_signal_while_images_are_prepared_stops_at_once(tiny, tmp_path, monkeypatch, what, recipe):
    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path / "home"))
    reports = []

    class Interrupts(Recorder):
        def prepared(self, name, done, total):
            if name == what:
                reports.append(done)
                signal.raise_signal(signal.SIGTERM)

    config = tiny("training.epochs=1", "training.views=2", recipe=recipe)
    with pytest.raises(StoppedError, match=rf"{what.lower()} was not done") as caught:
        train(config, folder=tmp_path, name="early", listener=Interrupts())
    assert (len(reports), caught.value.exit_code) == (1, 130)
    assert resume(RunFolder(tmp_path / "early")).epochs == 1
