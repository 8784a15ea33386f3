"""Kill and resume with each kind of memory: cached features, a loss with a schedule, plateaus."""

import signal

import pytest

from skinzoo.errors import ModelError
from skinzoo.training.runs import RunFolder
from skinzoo.training.trainer import resume, train

from .conftest import command, same_weights, weights_of, without_times

SETTINGS = ("training.epochs=5", "training.checkpoint_minutes=0", "hardware.deterministic=true")
KILLED_IN = 3
CASES = {
    "frozen": ("training.views=2", "training.batch_size=8", "training.steps_per_epoch=4"),
    "yao": (
        "training.batch_norm=reestimate",
        "training.reestimate_batches=2",
        # The one fusion of the small network that normalises batches.
        "model.fusion=mlp",
        "loss.options.start_epoch=1",
        "loss.options.end_epoch=4",
        "schedule.start=2",
        "schedule.every=2",
    ),
    # No epoch counts as better, so that the rate falls at every plateau.
    "paper": ("data.protocol=lesion", "schedule.patience=1", "schedule.min_delta=10"),
}


def kill_in_epoch(process, run, epoch):
    """Kill a training as soon as a step of the epoch is saved; it dies in the middle of that epoch."""
    while process.poll() is None:
        state = saved_state(run)
        if state is not None and (state["epoch"], state["step"] > 0) >= (epoch - 1, True):
            process.send_signal(signal.SIGKILL)
            break
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err


def saved_state(run):
    """Return the newest state of a training that goes on meanwhile, or None."""
    try:
        checkpoint = RunFolder(run).checkpoints.latest()
    except ModelError:
        # It was replaced while it was read.
        return None
    return None if checkpoint is None else checkpoint.state


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["frozen", "yao", "paper"])
def test_killed_runs_of_other_recipes_end_as_if_they_had_not_been(tiny, tmp_path, sample_home, recipe):
    config = tiny(*SETTINGS, *CASES[recipe], recipe=recipe)
    whole = RunFolder(train(config, folder=tmp_path, name="whole").run)

    file = tmp_path / "settings.toml"
    file.write_text(as_toml(config))
    process = command(
        *("train", "cnn", "--config", str(file), "--out", str(tmp_path), "--name", "killed"), home=sample_home
    )
    kill_in_epoch(process, tmp_path / "killed", KILLED_IN)
    killed = RunFolder(tmp_path / "killed")
    assert killed.config().as_dict() == config.as_dict()
    state = killed.checkpoints.latest().state
    assert KILLED_IN - 1 <= state["epoch"] < config.training.epochs
    resume(killed)

    assert without_times(killed.history()) == without_times(whole.history())
    assert same_weights(weights_of(killed), weights_of(whole))
    rates = [row["learning_rate"] for row in whole.history()]
    if recipe == "paper":
        assert rates[0] > rates[2] > rates[-1]


def as_toml(config):
    """Return a configuration as a file of settings; TOML has no null, whose settings are left out."""
    lines = [f'recipe = "{config.recipe}"']
    for section, values in config.as_dict().items():
        if section != "recipe":
            lines += [f"[{section}]", *(f"{k} = {toml(v)}" for k, v in values.items() if v is not None)]
    return "\n".join(lines)


def toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{k} = {toml(v)}' for k, v in value.items())} }}"
    return repr(value)
