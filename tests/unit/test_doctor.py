"""The checks of the installation and of a run directory."""

import json
import shutil
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from skinzoo import doctor
from skinzoo.config import make_config
from skinzoo.doctor import INFORMATION, OK, PROBLEM, Check
from skinzoo.errors import ModelError, PluginError, UsageError
from skinzoo.home import runs_folder
from skinzoo.registry import Registry


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder in front of the path, for distributions that exist only as metadata."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def add(site, name, version, *, requires=(), extras=(), entry_points="", editable=None):
    information = site / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (information / "METADATA").write_text("\n".join(lines) + "\n")
    (information / "entry_points.txt").write_text(entry_points)
    if editable is not None:
        origin = {"url": Path(editable).as_uri(), "dir_info": {"editable": True}}
        (information / "direct_url.json").write_text(json.dumps(origin))


def by_subject(checks):
    return {check.subject: check for check in checks}


class TestVersions:
    def test_what_is_installed_here_meets_the_declared_ranges(self):
        checks = by_subject(doctor.check_versions())
        assert [check for check in checks.values() if check.status != OK] == []
        assert {"python", "skinzoo", "tensorflow", "keras", "protobuf", "grpcio"} <= set(checks)
        assert checks["keras"].detail == metadata.version("keras")

    def test_a_version_out_of_range_is_a_problem_with_its_command(self, site):
        add(site, "keras", "2.15.0")
        check = by_subject(doctor.check_versions())["keras"]
        assert check.status == PROBLEM
        assert check.detail.endswith("Received: 2.15.0")
        assert check.hint.startswith('Install it with: pip install "keras')

    def test_a_missing_requirement_is_a_problem(self, site):
        add(site, "my-dist", "1.0", requires=["no-such-distribution>=2", "pytest; extra == 'test'"])
        checks = by_subject(doctor.check_versions("my-dist"))
        assert checks["no-such-distribution"].detail == "not installed"
        assert checks["no-such-distribution"].hint == 'Install it with: pip install "no-such-distribution>=2"'
        assert "pytest" not in checks

    def test_markers_of_other_pythons_do_not_count(self, site):
        add(site, "my-dist", "1.0", requires=["no-such-distribution; python_version < '3'"])
        assert "no-such-distribution" not in by_subject(doctor.check_versions("my-dist"))

    def test_stubs_of_another_minor_version_than_tensorflow(self, site):
        add(site, "tensorflow-serving-api", "2.19.1")
        found = [c for c in doctor.check_versions() if c.subject == "tensorflow-serving-api"]
        assert any("must have TensorFlow's minor version" in c.detail for c in found)
        assert {c.status for c in found} == {PROBLEM}

    def test_a_distribution_that_is_not_installed_has_no_ranges(self):
        assert [check.subject for check in doctor.check_versions("no-such-distribution")] == ["python"]


class TestInstallation:
    def problems(self, subject):
        return [c for c in doctor.check_installation() if c.status == PROBLEM and c.subject == subject]

    def test_every_entry_point_of_this_installation_names_a_module(self):
        detail = [c.detail for c in doctor.check_installation() if "missing module" in c.detail]
        assert detail == []

    def test_an_entry_point_of_a_missing_module(self, site):
        add(site, "lab", "1.0", entry_points="[skinzoo]\na = no_such_package.part\nb = json.no_such_part:x\n")
        assert [check.detail for check in self.problems("lab 1.0")] == [
            "entry point 'a' names the missing module 'no_such_package.part'",
            "entry point 'b' names the missing module 'json.no_such_part'",
        ]

    def test_looking_for_a_module_does_not_import_its_package(self, site):
        package = site / "explosive"
        package.mkdir()
        (package / "__init__.py").write_text("raise SystemExit('imported')\n")
        (package / "part.py").write_text("")
        add(site, "explosive", "1.0", entry_points="[skinzoo]\na = explosive.part\n")
        assert self.problems("explosive 1.0") == []

    @pytest.fixture
    def source(self, tmp_path):
        source = tmp_path / "source"
        source.mkdir()
        (source / "pyproject.toml").write_text('[project.entry-points.skinzoo]\na = "json"\nb = "csv"\n')
        return source

    def test_a_stale_editable_install(self, site, source):
        add(site, "lab", "1.0", entry_points="[skinzoo]\na = json\nold = csv\n", editable=source)
        (check,) = self.problems("lab 1.0")
        assert check.detail.endswith("entry points differ from pyproject.toml: b, old")
        assert check.hint == f"Install it again with: pip install -e {source}"

    def test_a_fresh_editable_install(self, site, source):
        add(site, "lab", "1.0", entry_points="[skinzoo]\na = json\nb = csv\n", editable=source)
        check = by_subject(doctor.check_installation())["lab 1.0"]
        assert check.status == OK
        assert check.detail == f"2 entry points, editable from {source}"

    def test_an_editable_install_whose_source_is_gone(self, site, source):
        add(site, "lab", "1.0", entry_points="[skinzoo]\na = json\n", editable=source)
        shutil.rmtree(source)
        (check,) = self.problems("lab 1.0")
        assert "its editable source is gone" in check.detail

    def test_a_skinzoo_without_entry_points(self, site):
        add(site, "skinzoo", "9.9")
        (check,) = self.problems("skinzoo")
        assert check.detail.startswith("declares no entry point in the group 'skinzoo'")


class TestExtras:
    def test_installed_and_not(self, site):
        add(
            site,
            "my-dist",
            "1.0",
            extras=["good", "bad", "old", "all"],
            requires=[
                "pytest; extra == 'good'",
                "no-such-distribution>=1; extra == 'bad'",
                "pytest<1; extra == 'old'",
                "my-dist[good]; extra == 'all'",
            ],
        )
        checks = by_subject(doctor.check_extras("my-dist"))
        assert {name: check.status for name, check in checks.items()} == {
            "good": OK,
            "bad": INFORMATION,
            "old": INFORMATION,
            "all": OK,
        }
        assert checks["bad"].detail == "not installed: no-such-distribution>=1"
        assert checks["bad"].hint == 'pip install "my-dist[bad]"'

    def test_an_extra_of_an_extra_counts(self, site):
        add(site, "inner", "1.0", extras=["more"], requires=["no-such-distribution; extra == 'more'"])
        add(site, "my-dist", "1.0", extras=["x"], requires=["inner[more]; extra == 'x'"])
        (check,) = doctor.check_extras("my-dist")
        assert check.detail == "not installed: inner[more]"

    def test_every_extra_of_skinzoo_is_looked_at(self):
        subjects = {check.subject for check in doctor.check_extras()}
        assert {"gpu", "balance", "download", "parquet", "rest", "shap", "onnx", "test"} <= subjects


@pytest.fixture
def run(tmp_path):
    """A directory with all that a finished training writes."""
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "epoch-0001.keras").write_bytes(b"x")
    for name in doctor.RUN_JSON:
        (run / name).write_text("{}")
    (run / "history.csv").write_text("epoch,loss\n0,1.0\n")
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        for member in doctor.RUN_MODEL_MEMBERS:
            archive.writestr(member, "x" * 100)
    return run


class TestRun:
    @pytest.fixture(autouse=True)
    def without_devices(self, monkeypatch):
        """Leave out what takes seconds in a process of its own and has nothing to do with runs."""
        monkeypatch.setattr(doctor, "check_devices", list)

    def problems(self, run):
        return {c.subject: c.detail for c in doctor.check_run(run) if c.status == PROBLEM}

    def test_a_complete_run(self, run):
        assert self.problems(run) == {}
        assert by_subject(doctor.check_run(run))["history.csv"].detail == "1 epoch"

    @pytest.mark.parametrize("name", [*doctor.RUN_JSON, "history.csv", "model.keras"])
    def test_a_missing_file(self, run, name):
        (run / name).unlink()
        assert self.problems(run) == {name: "missing"}

    @pytest.mark.parametrize("name", doctor.RUN_JSON)
    def test_half_a_json_file(self, run, name):
        (run / name).write_text('{"a": [1, ')
        assert list(self.problems(run)) == [name]

    def test_bytes_that_are_no_text(self, run):
        (run / "config.json").write_bytes(b"\xff\xfe\x00")
        (run / "history.csv").write_bytes(b"\xff\xfe\x00")
        assert set(self.problems(run)) == {"config.json", "history.csv"}

    def test_no_checkpoints(self, run):
        shutil.rmtree(run / "checkpoints")
        assert self.problems(run) == {"checkpoints": "missing"}
        (run / "checkpoints").mkdir()
        assert self.problems(run) == {"checkpoints": "empty"}

    def test_a_history_without_an_epoch(self, run):
        (run / "history.csv").write_text("epoch,loss\n")
        assert self.problems(run) == {"history.csv": "holds no epoch"}

    def test_a_cut_off_model(self, run):
        data = (run / "model.keras").read_bytes()
        (run / "model.keras").write_bytes(data[: len(data) // 2])
        assert self.problems(run)["model.keras"].startswith("cannot be read")

    def test_a_damaged_model(self, run):
        data = bytearray((run / "model.keras").read_bytes())
        data[data.index(b"x" * 50)] ^= 1
        (run / "model.keras").write_bytes(bytes(data))
        assert "is damaged at its member" in self.problems(run)["model.keras"]

    def test_a_model_without_weights(self, run):
        with zipfile.ZipFile(run / "model.keras", "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("metadata.json", "{}")
        assert self.problems(run) == {"model.keras": "lacks its members model.weights.h5"}

    @pytest.fixture
    def stopped(self):
        """A run of three epochs that was stopped in the second."""
        run = runs_folder() / "cnn-first"
        (run / "checkpoints").mkdir(parents=True)
        config = make_config("cnn", options={"training": {"epochs": 3}})
        for name in doctor.RUN_JSON[1:-1]:
            (run / name).write_text("{}")
        (run / "config.json").write_text(json.dumps({"config": config.as_dict(), "resolved": {}}))
        (run / "history.csv").write_text("epoch,loss\n1,1.0\n")
        return run

    @pytest.mark.parametrize("name", ["cnn-first", "cnn", "latest"])
    def test_a_stopped_run_can_go_on(self, stopped, name):
        found = [c for c in doctor.examine(Registry([]), name) if c.section == "run" and c.status == PROBLEM]
        assert [(c.subject, c.detail) for c in found] == [("cnn-first", "stopped in epoch 2")]
        assert found[0].hint == "Go on with: skinzoo train --resume cnn-first"

    def test_a_failed_run_says_why(self, stopped):
        (stopped / "failure.json").write_text('{"message": "The loss must be finite."}')
        assert self.problems(stopped) == {"cnn-first": "failed in epoch 2: The loss must be finite."}

    def test_a_damaged_file_of_a_stopped_run_is_found(self, stopped):
        (stopped / "split.json").write_text("{")
        assert list(self.problems(stopped)) == ["split.json", "cnn-first"]

    def test_an_unknown_name_is_a_usage_error(self, stopped):
        with pytest.raises(UsageError, match="RUN must be a path, a name, a unique prefix or 'latest'"):
            doctor.examine(Registry([]), "zzz")

    def test_a_directory_without_a_configuration_is_damaged(self, run):
        (run / "config.json").unlink()
        found = [c for c in doctor.examine(Registry([]), str(run)) if c.section == "run"]
        assert [c.subject for c in found if c.status == PROBLEM] == ["config.json"]

    def test_no_such_run(self, tmp_path):
        assert list(self.problems(tmp_path / "gone").values()) == ["no such directory"]


class TestFailure:
    def check(self, section, status=PROBLEM):
        return Check(section=section, subject=section, status=status, detail="is wrong", hint="Mend it.")

    def test_nothing_wrong_is_no_failure(self):
        assert doctor.failure([self.check("versions", OK), self.check("extras", INFORMATION)]) is None

    def test_trouble_with_the_installation_is_a_plugin_error(self):
        failure = doctor.failure([self.check("versions", OK), self.check("installation")])
        assert isinstance(failure, PluginError)
        assert str(failure) == "1 problem found, the first: installation: is wrong. Mend it."

    def test_an_incomplete_run_is_a_model_error_whatever_else_there_is(self):
        failure = doctor.failure([self.check("plugins"), self.check("run")])
        assert isinstance(failure, ModelError)
        assert failure.message == "2 problems found, the first: run: is wrong."

    def test_as_a_document(self):
        document = doctor.as_document([self.check("run"), self.check("extras", INFORMATION)])
        assert document["healthy"] is False
        assert document["checks"][0]["hint"] == "Mend it."
        assert doctor.as_document([self.check("extras", INFORMATION)])["healthy"] is True


def test_no_plugin_at_all_is_no_problem_of_plugins():
    (check,) = doctor.check_plugins(Registry([]))
    assert (check.status, check.detail) == (OK, "0")
