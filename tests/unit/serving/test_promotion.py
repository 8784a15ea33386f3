"""What promote does to the configuration file; against servers see tests/serving/test_lifecycle.py."""

import pytest

from skinzoo.errors import UsageError
from skinzoo.serving.config import read_config
from skinzoo.serving.folders import Policy
from skinzoo.serving.promotion import Promotion, promote


@pytest.fixture
def base(tmp_path):
    for version in (1, 2, 3):
        (tmp_path / "m" / str(version)).mkdir(parents=True)
    return tmp_path / "m"


@pytest.fixture
def write(base, tmp_path):
    """Write a configuration of the model `m` with a policy and labels, and return its file."""

    def write(policy="", labels=None):
        file = tmp_path / "models.config"
        named = " ".join(f'version_labels {{ key: "{k}" value: {v} }}' for k, v in (labels or {}).items())
        policy = f"model_version_policy {{ {policy} }}" if policy else ""
        file.write_text(
            f'# Whose it is.\n\nmodel_config_list {{ config {{ name: "m" base_path: "{base}" '
            f'model_platform: "tensorflow" {policy} {named} }} }}'
        )
        return file

    return write


def move(file, version, **options):
    return promote(Promotion(**{"model": "m", "label": "stable", **options}, version=version, file=file))


def of(file):
    found = read_config(file)[0]
    return found.policy, found.labels


def test_without_a_server_it_takes_two_calls(write):
    file = write("specific { versions: 1 }", {"stable": 1})
    assert not move(file, 2).complete
    assert of(file) == (Policy(specific=(1, 2)), {"stable": 1})
    done = move(file, 2)
    assert (done.before, done.now, done.complete) == (1, 2, True)
    assert of(file) == (Policy(specific=(1, 2)), {"stable": 2, "stable-previous": 1})
    assert file.read_text().startswith("# Whose it is.\n")
    text = file.read_text()
    assert move(file, 2).before == 2
    assert file.read_text() == text


def test_what_was_kept_to_go_back_to_goes_with_the_next_version(write):
    labels = {"stable": 2, "stable-previous": 1}
    file = write("specific { versions: 1 versions: 2 }", labels)
    move(file, 3)
    move(file, 3)
    assert of(file) == (Policy(specific=(2, 3)), {"stable": 3, "stable-previous": 2})
    # Unless it has another label too.
    file = write("specific { versions: 1 versions: 2 }", labels | {"old": 1})
    move(file, 3)
    move(file, 3)
    assert of(file)[0] == Policy(specific=(1, 2, 3))


def test_back_and_forth(write):
    file = write("specific { versions: 1 versions: 2 }", {"stable": 2, "stable-previous": 1})
    assert move(file, None).now == 1
    assert of(file)[1] == {"stable": 1, "stable-previous": 2}
    assert move(file, None).now == 2


def test_the_newest_so_many_become_those_that_are_named(write):
    file = write(labels={"stable": 1})
    assert not move(file, 2).complete
    # 3 is what is served without a policy, and 1 what the label stands for.
    assert of(file)[0] == Policy(specific=(1, 2, 3))
    file = write("all { }", {"stable": 1})
    assert move(file, 2).complete
    assert of(file)[0] == Policy(latest=None)


def test_the_first_move_of_a_label(write):
    file = write("specific { versions: 1 }")
    assert move(file, 1).complete
    assert of(file) == (Policy(specific=(1,)), {"stable": 1})


def test_what_cannot_be_moved(write, tmp_path):
    file = write("specific { versions: 1 }", {"stable": 1})
    before = file.read_text()
    for version, options, phrase in (
        (2, {"model": "n"}, "must be one of m in"),
        (9, {}, "must be one of 1, 2, 3"),
        (None, {}, "must have been moved before"),
    ):
        with pytest.raises(UsageError, match=phrase):
            move(file, version, **options)
    assert file.read_text() == before
    with pytest.raises(UsageError, match="readable"):
        move(tmp_path / "missing", 2)


def test_a_link_stays_one(write, tmp_path):
    file = write("specific { versions: 1 }")
    link = tmp_path / "link.config"
    link.symlink_to(file)
    move(link, 1)
    assert link.is_symlink()
    assert of(file)[1] == {"stable": 1}
