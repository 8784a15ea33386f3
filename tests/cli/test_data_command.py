"""`skinzoo data`: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from skinzoo.data.sample import SampleOptions, draw_sample

COMMANDS = ("list", "use", "show", "audit", "report", "split", "download", "sample")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A small sample on disk, in a folder whose name is not plain."""
    folder = tmp_path_factory.mktemp("data") / "muster é 1"
    folder.mkdir()
    draw_sample(folder, SampleOptions(images=60, width=64, seed=1))
    return folder


@pytest.fixture
def broken(tmp_path):
    """Images in two class folders: one truncated, one no image, one of another kind."""
    for label in ("mel", "nv"):
        (tmp_path / label).mkdir()
        for i in range(4):
            Image.effect_noise((64, 48), 60 + 10 * i).convert("RGB").save(
                tmp_path / label / f"{label}{i}.jpg"
            )
    cut = tmp_path / "mel" / "mel0.jpg"
    cut.write_bytes(cut.read_bytes()[:1000])
    (tmp_path / "nv" / "nv0.jpg").write_text("text")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_help(invoke, command):
    found = invoke("data", command, "--help", columns=80)
    assert found.code == 0 and "Usage:" in found.out


def test_list(invoke):
    found = invoke("data", "list", columns=80)
    assert found.code == 0
    assert all(
        name in found.out for name in ("ham10000", "isic2017", "sample", "In use: sample (the default)")
    )
    assert max(map(len, found.out.splitlines())) <= 80
    document = invoke("data", "list", "--json").json
    ham = next(entry for entry in document["datasets"] if entry["name"] == "ham10000")
    assert ham["images"] == 10015 and ham["downloadable"] and not ham["downloaded"]


def test_use_is_remembered_and_forgotten(invoke, drawn):
    assert invoke("data", "use", drawn).out == f"Using {drawn} (dataset sample).\n"
    assert invoke("data", "show", "--json").json["path"] == str(drawn)
    assert invoke("data", "list", "--json").json["in_use"]["origin"] == "skinzoo data use"
    assert invoke("data", "use", "--forget").code == 0
    assert invoke("data", "list", "--json").json["in_use"]["dataset"] == "sample"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("use",), 2, "neither"),
        (("use", ".", "--forget"), 2, "both"),
        (("use", "nowhere"), 3, "must be a path that exists"),
        (("use", "ham1000"), 3, "Did you mean 'ham10000'?"),
        (("show", "nowhere"), 3, "must be a path that exists"),
        (("show", "ham10000"), 3, "Give PATH, or run: skinzoo data download ham10000"),
        (("show", "DATA", "--option", "images"), 2, "must be NAME=VALUE"),
        (("show", "DATA", "--option", "colour=red"), 2, "has the options"),
        (("audit", "nowhere"), 3, "`PATH` must be a path that exists"),
        (("audit", "DATA", "--split", "nowhere.json"), 3, "nowhere.json (no such file)."),
        (("split", "DATA", "--protocol", "lesions"), 2, "Did you mean 'lesion'?"),
        (("split", "DATA", "--folds", "2"), 2, "at least 3"),
        (("split", "DATA", "--test-fold", "10"), 2, "0..9"),
        (("split", "DATA", "--seed", "-1"), 2, "must not be negative"),
        (("split", "DATA", "--test-size", "0.2"), 2, "has the options"),
        (("download", "ham1000"), 4, "Did you mean 'ham10000'?"),
        (("download", "ph2"), 3, "by hand"),
        (("download", "ham10000", "--only", "*.tar"), 2, "HAM10000_metadata.csv"),
        (("download", "ham10000"), 2, "--accept-licence"),
        (("sample", "--to", "x", "--images", "3"), 2, "at least 42"),
    ],
)
def test_wrong_input(invoke, drawn, monkeypatch, tmp_path, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    found = invoke("data", *(drawn if word == "DATA" else word for word in arguments))
    assert found.code == code, found.err
    assert message in found.err
    assert sum(line.startswith("Error: ") for line in found.err.splitlines()) == 1
    assert "Traceback" not in found.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_dataset(invoke, tmp_path):
    found = invoke("data", "show", tmp_path)
    assert found.code == 3 and "--dataset" in found.err
    assert "which is an empty folder" in found.err


def test_what_is_not_recognised_is_said_with_the_way_out(invoke, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.effect_noise((64, 48), 60).convert("RGB").save(folder / "a.jpg")
    assert "holds images but neither a table nor two folders" in invoke("data", "show", folder).err
    table = tmp_path / "cases.csv"
    table.write_text("file,verdict\na,nv\n")
    found = invoke("data", "show", table)
    assert found.code == 3
    assert "lacks for the layout 'csv' a column of the label (usually label, class," in found.err
    assert "it has file, verdict" in found.err
    assert "columns = { image = 'file', label = 'diagnosis' }" in found.err


def test_show(invoke, drawn):
    document = invoke("data", "show", drawn, "--json").json
    assert document["images"] == 60 == sum(document["class_counts"].values())
    found = invoke("data", "show", drawn, columns=80)
    assert found.code == 0 and "muster é 1" in found.out
    assert "Note: Drawn lesions" in found.err


def test_show_needs_skip_bad_where_rows_are_bad(invoke, tmp_path):
    table = tmp_path / "table.csv"
    Image.effect_noise((64, 48), 60).convert("RGB").save(tmp_path / "a.jpg")
    table.write_text("image_id,label,age\na,nv,40\nb,mel,-3\n")
    options = ("--dataset", "csv")
    failed = invoke("data", "show", table, *options)
    assert failed.code == 3 and "--skip-bad" in failed.err
    found = invoke("data", "show", table, *options, "--skip-bad")
    assert found.code == 0, found.err
    assert "Left out: 1 image or row." in found.err and "b: " in found.err


def test_audit_of_good_data(invoke, drawn):
    found = invoke("data", "audit", drawn, columns=80)
    assert found.code == 0
    assert "0 errors, 0 warnings" in found.out
    assert max(map(len, found.out.splitlines())) <= 80


def test_audit_of_broken_data(invoke, broken):
    found = invoke("data", "audit", broken, "--dataset", "folder", columns=80)
    assert found.code == 3
    assert "2 image files cannot be used." in found.out
    assert "mel0" in found.out and "nv0" in found.out and "truncated" in found.out
    assert "leave their rows out of training with --skip-bad" in " ".join(found.out.split())
    document = json.loads(invoke("data", "audit", broken, "--dataset", "folder", "--json").out)
    named = json.dumps(document["findings"])
    assert "mel0.jpg" in named and "nv0.jpg" in named
    assert document["severity_counts"]["error"] >= 1


def test_split_audit_and_report_of_a_leaky_split(invoke, drawn, tmp_path):
    leaky, honest = tmp_path / "leaky.json", tmp_path / "honest.json"
    document = invoke("data", "split", drawn, "--protocol", "northeastern", "--to", leaky, "--json").json
    assert "leaky" in document["stamps"]
    assert document["hash"] == json.loads(leaky.read_text())["hash"]
    made = invoke("data", "split", drawn, "--folds", "3", "--to", honest, columns=80)
    assert made.code == 0 and json.loads(honest.read_text())["hash"][:20] in made.out
    assert f"skinzoo data audit {shlex.quote(str(drawn))} --split {honest}" in made.err
    assert "keep them together: --merge-duplicates" in made.err
    assert invoke("data", "audit", drawn, "--split", honest).code == 0
    found = invoke("data", "audit", drawn, "--split", leaky)
    assert found.code == 3 and "The split leaks" in found.out
    assert json.loads(invoke("data", "audit", drawn, "--split", leaky, "--json").out)["leaks"] is True
    page = tmp_path / "page.html"
    assert invoke("data", "report", drawn, "--split", leaky, "--to", page).out == f"{page}\n"
    assert document["hash"] in page.read_text(encoding="utf-8")


def test_the_audit_says_what_a_similarity_is(invoke, tmp_path):
    folder = tmp_path / "photos"
    for name in ("mel", "nv"):
        (folder / name).mkdir(parents=True)
        Image.effect_noise((128, 96), 60).convert("RGB").save(folder / name / f"{name}.png")
    with Image.open(folder / "mel" / "mel.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "nv" / "copy.png")
    text = " ".join(invoke("data", "audit", folder).out.split())
    assert "similarity: height of the phase-correlation peak, 0 to 1;" in text
    assert "pairs count from 0.16" in text and "similarity 1.00, mirrored" in text


def test_the_help_says_which_option_belongs_to_which_protocol(invoke):
    text = " ".join(invoke("data", "split", "--help", columns=200).out.split())
    assert "Protocols lesion and lesion_kfold: number of folds." in text
    assert "Protocols datta, official and given: share of training that validates." in text


def test_another_split_is_not_overwritten(invoke, drawn, tmp_path):
    to = tmp_path / "split.json"
    first = ("data", "split", drawn, "--folds", "3", "--to", to)
    assert invoke(*first).code == 0
    assert invoke(*first).code == 0
    other = invoke(*first, "--seed", "5")
    assert other.code == 2 and "--force" in other.err
    assert invoke(*first, "--seed", "5", "--force").code == 0
    assert json.loads(to.read_text())["seed"] == 5


def test_a_split_with_near_duplicates_kept_together(invoke, drawn, tmp_path):
    to = tmp_path / "split.json"
    found = invoke("data", "split", drawn, "--folds", "3", "--merge-duplicates", "--to", to, "--json").json
    assert any("Near-duplicate" in warning for warning in found["warnings"])


def test_download_lists_files_and_asks_for_the_licence(invoke):
    found = invoke("data", "download", "ham10000", "--dry-run", columns=80)
    assert found.code == 0
    assert "CC BY-NC 4.0" in found.out and "datafile/3172585" in found.out and "1.4 GB" in found.out


def test_sample_is_written_and_read(invoke, tmp_path):
    to = tmp_path / "a new" / "sample"
    made = invoke("data", "sample", "--to", to, "--images", "50", "--width", "48", "--seed", "2")
    assert made.out == f"{to}\n"
    assert made.err == f"50 images of 48 x 36 pixels. Next: skinzoo data show '{to}'\n"
    assert invoke("data", "show", to, "--json").json["images"] == 50
    again = invoke("data", "sample", "--to", to)
    assert again.code == 3 and "new or empty" in again.err
    assert [path.name for path in to.parent.iterdir()] == ["sample"]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["audit", "--help"], ["audit", "DATA", "--json"], ["list"]]
)
def test_tensorflow_stays_out(drawn, arguments):
    code = (
        "import sys\nfrom skinzoo.cli import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit as done:\n    code = done.code\n"
        "heavy = [name for name in ('tensorflow', 'keras', 'matplotlib') if name in sys.modules]\n"
        "sys.exit(f'imported {heavy}' if heavy else code)\n"
    )
    words = [str(drawn) if word == "DATA" else word for word in arguments]
    done = subprocess.run(
        [sys.executable, "-c", code, "data", *words], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.realdata
def test_the_default_split_of_ham10000(invoke, ham10000, tmp_path):
    to = tmp_path / "split.json"
    document = invoke("data", "split", ham10000, "--to", to, "--json").json
    assert sum(sum(counts.values()) for counts in document["counts"].values()) == 10015
    assert document["crossing_lesions"] == 0 and document["stamps"] == []
    assert Path(document["file"]) == to
