"""SWEEP.toml and the trials that it makes."""

import subprocess
import sys

import pytest

from skinzoo.config import make_config
from skinzoo.errors import SkinzooError, UsageError
from skinzoo.files import tomllib
from skinzoo.scale.best import best_as_toml
from skinzoo.scale.outcomes import FAILED, FINISHED, Outcome, rank_settings
from skinzoo.scale.progress import Sweep
from skinzoo.scale.sweep import plan_sweep
from skinzoo.scale.trials import check_data
from skinzoo.training.request import TrainRequest, resolve_request

SET = """
[set]
data.options.images = 90
data.protocol_options.folds = 3
training.batch_size = 8
training.epochs = 2
"""


def plan(tmp_path, text, name="rates") -> Sweep:
    path = tmp_path / f"{name}.toml"
    path.write_text(text)
    return plan_sweep(path, tmp_path / "runs")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("variants = [", "must be a TOML file"),
        ("", "must name a variant"),
        ('variant = ["cnn"]', "Did you mean 'variants'?"),
        ('variants = "cnn"', "`variants` of rates.toml must be a list of texts"),
        ('variants = ["cnnn"]', "Did you mean 'cnn'?"),
        ('variants = ["cnn"]\nrecipes = ["papr"]', "Did you mean 'paper'?"),
        ('variants = ["cnn"]\nseeds = [true]', "must be a list of whole numbers"),
        ('variants = ["cnn"]\nseeds = [-1]', "must be a list of whole numbers"),
        ('variants = ["cnn"]\nmetric = "val_balanced_acuracy"', "Did you mean 'val_balanced_accuracy'?"),
        ('variants = ["cnn"]\nmetric = "test_accuracy"', "must be a score of the validation part"),
        ('variants = ["cnn"]\n[optimizer]\nlearning_rate = 1.0', "stand in [set]"),
        ('variants = ["cnn"]\n[set]\ntraining.epoch = 3', "Did you mean 'epochs'?"),
        ('variants = ["cnn"]\n[set]\ntraining.seed = 3', "must be given as `seeds`"),
        ('variants = ["cnn"]\n[grid]\noptimizer.learning_rat = [1.0]', "Did you mean 'learning_rate'?"),
        ('variants = ["cnn"]\n[grid]\noptimizer.learning_rate = 1.0', "must be a list of values"),
        ('variants = ["cnn"]\n[grid]\noptimizer.learning_rate = []', "a list, each|must be"),
        ('variants = ["cnn"]\n[grid]\ntraining.epochs = [1, 0]', "must be at least 1"),
        ('variants = ["cnn"]\n[grid]\nhardware.threads = [1]', "`bounds.cpus`"),
        ('variants = ["cnn"]\n[set]\nhardware.workers = 2', "a trial trains in one process"),
        ('variants = ["cnn"]\n[grid]\nloss.name = ["mwln"]', "mwln"),
        ('variants = ["cnn"]\n[random]\ntraining.epochs = [1]', "how many `trials`"),
        (
            'variants = ["cnn"]\n[grid]\nmodel.dropout = [0.1]\n[random]\ntrials = 1\nmodel.dropout = [0.1]',
            "[grid] or [random]",
        ),
        (
            'variants = ["cnn"]\n[random]\ntrials = 2\nmodel.dropout = { low = 0.1, hgh = 0.2 }',
            "Did you mean 'high'?",
        ),
        (
            'variants = ["cnn"]\n[random]\ntrials = 2\nmodel.dropout = { low = 0.2, high = 0.1 }',
            "low below high",
        ),
        (
            'variants = ["cnn"]\n[random]\ntrials = 2\nmodel.dropout = { low = 0.0, high = 0.1, log = true }',
            "above 0 with log",
        ),
        (
            'variants = ["cnn"]\n[random]\ntrials = 2\nmodel.dropout = { low = 0.1, high = 7.5 }',
            "at most 0.95",
        ),
        ('variants = ["cnn"]\n[bounds]\ncpu = 1', "Did you mean 'cpus'?"),
        ('variants = ["cnn"]\n[bounds]\nmemory = 0', "a number above 0"),
        ('variants = ["cnn"]\n[asha]\nreduction_factor = 1', "at least 2"),
        ('name = "../x"\nvariants = ["cnn"]', "../x"),
        ('variants = ["cnn"]\nfolds = [0]\n[set]\ndata.protocol = "paper"', "`folds` must go with"),
        ('variants = ["cnn"]\nrecipes = ["scratch", "paper"]', "`metric` must be given"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_meant(tmp_path, text, message):
    with pytest.raises(SkinzooError) as caught:
        plan(tmp_path, text)
    assert any(one in str(caught.value) for one in message.split("|")), str(caught.value)


def test_a_missing_file_is_said_so(tmp_path):
    with pytest.raises(UsageError, match="must be a file"):
        plan_sweep(tmp_path / "none.toml")


def test_a_grid_is_every_combination_with_names_that_stay(tmp_path):
    text = (
        'variants = ["cnn"]\nseeds = [0, 1]\nfolds = [0, 2]\ndata = "sample"\n'
        + SET
        + "[grid]\noptimizer.learning_rate = [1e-3, 1e-2]\nmodel.hidden = [[], [64, 32]]\n"
    )
    trials = plan(tmp_path, text).trials.all
    assert len(trials) == len({one.name for one in trials}) == 16
    assert [one.name for one in plan(tmp_path, text).trials.all] == [one.name for one in trials]
    assert {one.config.data.protocol_options["test_fold"] for one in trials} == {0, 2}
    assert {one.config.data.protocol_options["folds"] for one in trials} == {3}
    assert {one.config.model.hidden for one in trials} == {(), (64, 32)}
    assert len({one.setting for one in trials}) == 4
    bounded = plan(tmp_path, text + "[bounds]\ncpus = 3\n").trials.all
    assert [one.name for one in bounded] == [one.name for one in trials]
    assert {one.config.hardware.threads for one in bounded} == {3}


def test_a_trial_is_what_train_makes_of_the_same_settings(tmp_path):
    (trial,) = plan(tmp_path, 'variants = ["cnn"]\nseeds = [3]\ndata = "sample"\n' + SET).trials.all
    assignments = (
        *("data.options.images=90", "data.protocol_options.folds=3", "training.batch_size=8"),
        *("training.epochs=2", "training.seed=3"),
    )
    config, _ = resolve_request(TrainRequest(variant="cnn", data="sample", assignments=assignments))
    assert trial.config == config


def test_random_draws_begin_the_same_however_many_there_are(tmp_path):
    text = (
        'variants = ["cnn"]\ndata = "sample"\n' + SET + "[random]\ntrials = {}\nseed = 5\n"
        "optimizer.learning_rate = {{ low = 1e-4, high = 1e-1, log = true }}\n"
        "training.patience = {{ low = 1, high = 3 }}\nmodel.dropout = {{ low = 0, high = 0.5 }}\n"
        "augmentation.vertical_flip = [true, false]\n"
    )
    few, many = (plan(tmp_path, text.format(count)).trials.all for count in (5, 40))
    assert [one.name for one in many[:5]] == [one.name for one in few]
    rates = [one.chosen["optimizer.learning_rate"] for one in many]
    assert min(rates) >= 1e-4
    assert max(rates) <= 1e-1
    assert 0.2 < sum(rate < 10**-2.5 for rate in rates) / len(rates) < 0.8
    assert {one.chosen["training.patience"] for one in many} == {1, 2, 3}
    assert any(one.chosen["model.dropout"] not in (0, 0.5) for one in many)
    assert {one.chosen["augmentation.vertical_flip"] for one in many} == {True, False}


def test_trials_that_are_the_same_are_trained_once(tmp_path):
    text = 'variants = ["cnn"]\ndata = "sample"\n' + SET + "[random]\ntrials = 6\nmodel.dropout = [0.1]\n"
    trials = plan(tmp_path, text).trials
    assert len(trials.all) == 1
    assert any("5 of the trials are the same" in one for one in trials.notices)


@pytest.mark.parametrize("protocol", ["northeastern", "paper"])
def test_a_protocol_that_validates_on_its_test_part_is_refused(tmp_path, protocol):
    text = 'variants = ["cnn"]\ndata = "sample"\n[set]\ndata.options.images = 90\n'
    text += f'data.protocol = "{protocol}"\n'
    with pytest.raises(UsageError, match="that is not the test part"):
        check_data(plan(tmp_path, text).trials)


def test_the_best_setting_is_that_of_the_best_mean_and_a_recipe_file(tmp_path):
    text = (
        'variants = ["cnn"]\nseeds = [0, 1]\ndata = "sample"\n'
        + SET
        + 'loss.class_weights = { "m\\"el" = 2 }\nloss.options.power = 1.0\n'
        + "[grid]\noptimizer.learning_rate = [1e-3, 1e-5, 1.0]\n"
    )
    sweep = plan(tmp_path, text)
    scores = [0.5, 0.7, 0.9, 0.1, 0.99, None]
    states = [FAILED if score is None else FINISHED for score in scores]
    outcomes = [
        Outcome(trial, state, 2, score)
        for trial, state, score in zip(sweep.trials.all, states, scores, strict=True)
    ]
    ranked = rank_settings(outcomes, sweep.trials.metric)
    assert [one.trial.chosen["optimizer.learning_rate"] for one in ranked] == [1e-3, 1e-5, 1.0]
    assert ranked[0].mean == pytest.approx(0.6)
    assert not ranked[-1].complete, "one of its trainings failed"
    assert [one.mean for one in rank_settings(outcomes[:4], "val_loss")] == pytest.approx([0.5, 0.6])
    written = best_as_toml(ranked[1], sweep)
    path = tmp_path / "best.toml"
    path.write_text(written)
    assert tomllib.loads(written)["loss"]["class_weights"] == {'m"el': 2}
    assert make_config("cnn", file=path).recipe_hash == ranked[1].trial.config.recipe_hash


def test_without_ray_its_options_say_how_to_install_it(tmp_path):
    path = tmp_path / "rates.toml"
    path.write_text('variants = ["cnn"]\ndata = "sample"\n' + SET)
    script = (
        "import sys; sys.modules['ray'] = None\n"
        "from skinzoo.cli import main\n"
        "sys.argv = ['skinzoo', 'sweep', *sys.argv[1:]]\n"
        "main()"
    )
    for option in (["--ray"], ["--address", "127.0.0.1:6379"]):
        done = subprocess.run(
            [sys.executable, "-c", script, path, *option], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert 'pip install "skinzoo[ray]"' in done.stderr
        assert len(done.stderr.splitlines()) == 1
    planned = subprocess.run(
        [sys.executable, "-c", script, path, "--dry-run"], capture_output=True, text=True, check=False
    )
    assert planned.returncode == 0, planned.stderr
