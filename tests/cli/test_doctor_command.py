"""`skinzoo doctor`; the single checks are tested in tests/unit/test_doctor.py."""

import json


def test_an_incomplete_run_ends_with_5_behind_the_whole_report(cli, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{")
    done = cli("doctor", "--run", run, "--json")
    assert done.returncode == 5, done.stderr
    assert len(done.stderr.splitlines()) == 1
    document = json.loads(done.stdout)
    assert document["healthy"] is False
    sections = {check["section"] for check in document["checks"]}
    assert sections == {"versions", "devices", "installation", "plugins", "extras", "run"}
    found = {(check["section"], check["subject"]): check for check in document["checks"]}
    assert found["devices", "CPU"]["status"] == "ok"
    assert found["run", "config.json"]["detail"].startswith("cannot be read")
    assert found["run", "model.keras"]["detail"] == "missing"
    elsewhere = [c for c in document["checks"] if c["status"] == "problem" and c["section"] != "run"]
    assert elsewhere == []


def test_trouble_with_a_plugin_ends_with_4(cli, tmp_path):
    (tmp_path / "broken_one.py").write_text("raise RuntimeError('no')\n")
    information = tmp_path / "broken_one-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-one\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[skinzoo]\nbroken-one = broken_one\n")
    done = cli("doctor", env={"PYTHONPATH": str(tmp_path)}, columns=80)
    assert done.returncode == 4
    assert done.stderr == (
        "Error: 1 problem found, the first: broken-one 1.0 (broken-one): import failed: RuntimeError: no. "
        "See: skinzoo plugins\n"
    )
    assert "tensorflow" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
