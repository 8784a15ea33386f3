"""Names, version numbers, and folders that appear whole or not at all."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from skinzoo.errors import ModelError, UsageError
from skinzoo.export.formats import FORMATS, format_named
from skinzoo.export.place import check_model_name, check_version, exports_folder, staging, versions_in

SAVEDMODEL, LITERT = FORMATS["savedmodel"], FORMATS["litert"]


def write(base, name="lesions", version=None, target=SAVEDMODEL):
    with staging(base, name, version, target) as stage:
        stage.path.mkdir()
        (stage.path / target.file).write_text("graph")
        return stage.keep(lambda number: None)


def test_versions_count_up_from_the_highest(tmp_path):
    assert write(tmp_path) == tmp_path / "lesions" / "1"
    assert write(tmp_path, version=7).name == "7"
    assert write(tmp_path).name == "8"
    assert write(tmp_path, "other").name == "1"
    assert sorted(path.name for path in (tmp_path / "lesions").iterdir()) == ["1", "7", "8"]


def test_leading_zeros_are_the_same_version(tmp_path):
    write(tmp_path, version=3).rename(tmp_path / "lesions" / "0003")
    assert versions_in(tmp_path / "lesions") == {3: tmp_path / "lesions" / "0003"}
    with pytest.raises(UsageError, match=r"`--version` must be new\. Received: 3.*0003.*next one, 4"):
        write(tmp_path, version=3)
    assert write(tmp_path).name == "4"


def test_names_that_are_no_numbers_are_no_versions(tmp_path):
    for name in ("12a", "-1", "1.5", ".1", "latest"):
        (tmp_path / "lesions" / name).mkdir(parents=True)
    assert versions_in(tmp_path / "lesions") == {}


def test_while_it_is_written_no_version_is_seen_and_afterwards_all_of_it(tmp_path):
    with staging(tmp_path, "lesions", None, SAVEDMODEL) as stage:
        stage.path.mkdir()
        assert versions_in(tmp_path / "lesions") == {}
        (stage.path / SAVEDMODEL.file).write_text("graph")
        path = stage.keep(lambda number: None)
    assert (path / SAVEDMODEL.file).read_text() == "graph"


@pytest.mark.parametrize("error", [ModelError("no"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(tmp_path, error):
    base = tmp_path / "new" / "base"
    with (
        pytest.raises(type(error)),
        staging(base, "lesions", None, SAVEDMODEL) as stage,
    ):
        stage.path.mkdir()
        (stage.path / "half").write_text("x")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_what_was_there(tmp_path):
    kept = write(tmp_path)
    with pytest.raises(ModelError), staging(tmp_path, "lesions", None, SAVEDMODEL):
        raise ModelError("no")
    assert list((tmp_path / "lesions").iterdir()) == [kept]


def test_a_number_that_is_taken_meanwhile_is_not_overwritten(tmp_path):
    stated, others = [], []
    with staging(tmp_path, "lesions", None, SAVEDMODEL) as stage:
        stage.path.mkdir()

        def state(number):
            stated.append(number)
            if number < 3:
                others.append(write(tmp_path))
            (stage.path / "card").write_text(str(number))

        path = stage.keep(state)
    assert (path.name, (path / "card").read_text(), stated) == ("3", "3", [1, 2, 3])
    assert [one.name for one in others] == ["1", "2"]
    assert all((one / SAVEDMODEL.file).exists() for one in others)


def test_a_number_that_was_asked_for_and_is_taken_meanwhile(tmp_path):
    with (
        pytest.raises(UsageError, match=r"`--version` must be new\. Received: 4"),
        staging(tmp_path, "lesions", 4, SAVEDMODEL) as stage,
    ):
        stage.path.mkdir()
        stage.keep(lambda number: write(tmp_path, version=4))
    assert [one.name for one in (tmp_path / "lesions").iterdir()] == ["4"]


def test_exports_at_the_same_time_each_state_their_own_version(tmp_path):
    def export(_):
        with staging(tmp_path, "lesions", None, SAVEDMODEL) as stage:
            stage.path.mkdir()
            (stage.path / SAVEDMODEL.file).write_text("graph")
            return stage.keep(lambda number: (stage.path / "card").write_text(str(number)))

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(export, range(40)))
    assert sorted(int(path.name) for path in paths) == list(range(1, 41))
    assert all((path / "card").read_text() == path.name for path in paths)


def test_a_model_has_one_format(tmp_path):
    write(tmp_path)
    with pytest.raises(UsageError, match=r"must have one format, litert\..*has no model\.tflite"):
        write(tmp_path, target=LITERT)
    assert write(tmp_path, "tflite", target=LITERT).name == "1"


def test_a_base_that_is_a_file(tmp_path):
    (tmp_path / "base").write_text("x")
    with pytest.raises(ModelError, match=r"`--to` must be a folder that can be written\. Received: .*base"):
        write(tmp_path / "base")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "-x", "a b", "12", "é", "a" * 152, "a\n"])
def test_what_is_no_name_of_a_model(name):
    with pytest.raises(UsageError, match="`--name` must be"):
        check_model_name(name)


@pytest.mark.parametrize("name", ["a", "mobile-net_v3.large+soft", "3d", "a" * 151])
def test_names_of_models(name):
    check_model_name(name)


@pytest.mark.parametrize("version", [0, -1, 2**63, True, 1.0])
def test_what_is_no_version(version):
    with pytest.raises(UsageError, match="`--version` must be a whole number"):
        check_version(version)


def test_only_savedmodels_go_where_a_server_looks(isolated_home):
    folders = {exports_folder(target).name for target in FORMATS.values()}
    assert len(folders) == len(FORMATS)
    assert exports_folder(SAVEDMODEL) == exports_folder()


def test_an_unknown_format():
    with pytest.raises(UsageError, match=r"`format` must be one of savedmodel, .*Did you mean 'onnx'"):
        format_named("onx")
