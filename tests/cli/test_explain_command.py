"""`skinzoo explain` on images, on parts and with masks."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from html_pages import Page, check_pictures, seen
from PIL import Image

QUICK = ("--methods", "attention,gradcam", "--draws", "100")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of seconds on the built-in sample."""
    from skinzoo.config import make_config
    from skinzoo.training.trainer import train

    home = tmp_path_factory.mktemp("home")
    settings = (
        "data.dataset=sample", "data.options.images=90", "data.protocol_options.folds=3",
        "training.batch_size=8", "training.epochs=1", "model.image_size=48", "model.attention=soft",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINZOO_HOME", str(home))
        config = make_config("cnn", recipe="default", assignments=list(settings))
        return home, train(config, folder=home / "runs", name="tiny").run


@pytest.fixture
def at_home(trained, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(trained[0]))
    return trained[1]


@pytest.fixture(scope="module")
def photos(trained):
    """Paths of the sample's images by id."""
    found = {path.stem: path for path in sorted(trained[0].rglob("*.jpg"))}
    assert len(found) == 90
    return found


@pytest.fixture(scope="module")
def masks(trained, photos, tmp_path_factory):
    """Masks of two thirds of the images: the middle half of each side, and one without a lesion."""
    folder = tmp_path_factory.mktemp("masks")
    for number, (name, path) in enumerate(photos.items()):
        if number % 3 == 2:
            continue
        with Image.open(path) as image:
            width, height = image.size
        mask = np.zeros((height, width), np.uint8)
        if number:
            mask[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 255
        Image.fromarray(mask).save(folder / f"{name}_segmentation.png")
    return folder


@pytest.fixture(scope="module")
def everything(trained, masks, tmp_path_factory):
    """A page with all there is on it, for given images and with masks and sanity checks."""
    from typer.testing import CliRunner

    from skinzoo.cli import app

    folder = tmp_path_factory.mktemp("out") / "tout é"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINZOO_HOME", str(trained[0]))
        arguments = ["explain", "tiny", "--part", "all", "--cases", "3", "--masks", str(masks), "--sanity"]
        done = CliRunner().invoke(
            app, [*arguments, "--draws", "100", "--to", str(folder)], env={"COLUMNS": "80"}
        )
    assert done.exit_code == 0, done.output
    return folder, done


def test_given_images_with_their_metadata(invoke, at_home, photos, tmp_path):
    paths = list(photos.values())[:2]
    known = ("--age", 50, "--sex", "Male", "--localization", "back")
    found = invoke("explain", "tiny", *paths, *known, *QUICK, "--to", tmp_path / "a", "--json").json
    from skinzoo import load_run

    cases = [{"image": path, "age": 50, "sex": "male", "localization": "back"} for path in paths]
    expected = load_run(at_home).predict(cases)
    for case, path, (_, row) in zip(found["cases"], paths, expected.iterrows(), strict=True):
        assert case["image_id"] == path.stem and case["true"] is None
        assert case["predicted"] == case["explained"] == row.idxmax()
        assert case["probability"] == pytest.approx(row.max(), abs=1e-5)
    assert found["agreement"] is None and found["sanity"] is None
    figures = sorted(path.name for path in (tmp_path / "a" / "figures").iterdir())
    assert figures == [f"{path.stem}.png" for path in paths]
    with Image.open(tmp_path / "a" / "figures" / figures[0]) as image:
        picture = np.asarray(image.convert("RGB"))
    assert picture.shape[1] > 600 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 200


def test_a_part_goes_to_the_runs_own_folder(invoke, at_home):
    done = invoke("explain", "tiny", "--cases", 4, "--methods", "attention,heads,occlusion", columns=80)
    assert done.code == 0, done.err
    folder = at_home / "explanation" / "test"
    assert f"Report: {folder / 'report.html'}" in done.out.replace("\n", "")
    assert {path.name for path in folder.iterdir()} == {"report.html", "report.md", "report.json", "figures"}
    found = json.loads((folder / "report.json").read_text())
    assert len(found["cases"]) == 4 and len({case["true"] for case in found["cases"]}) == 4
    assert all(case["heads"] == 16 for case in found["cases"])
    assert len(list((folder / "figures").glob("*-heads.png"))) == 4
    assert found["facts"]["split hash"] == json.loads((at_home / "card.json").read_text())["split"]["hash"]
    assert "Drawn are 4 of" in done.err and "equal squares" in done.err


def test_another_class_is_explained(invoke, at_home, tmp_path):
    found = invoke("explain", "tiny", "--class", "mel", *QUICK, "--cases", 2, "--to", tmp_path, "--json").json
    assert {case["explained"] for case in found["cases"]} == {"mel"}
    assert all(case["explained_probability"] <= case["probability"] for case in found["cases"])
    done = invoke("explain", "tiny", "--class", "mell", *QUICK)
    assert done.code == 2 and "Did you mean 'mel'?" in done.err


def test_agreement_counts_what_has_no_mask(everything, photos, masks):
    folder, done = everything
    found = json.loads((folder / "report.json").read_text())
    agreement = found["agreement"]
    assert (agreement["images"], agreement["without_mask"], agreement["empty_masks"]) == (59, 30, 1)
    assert agreement["intervals"]["unit"] == "lesion" and agreement["mean_lesion_area"] == pytest.approx(0.25)
    assert set(agreement["methods"]) == {"attention", "gradcam", "gradcam++", "uniform", "centre"}
    uniform = agreement["methods"]["uniform"]
    assert uniform["share"]["value"] == pytest.approx(0.25) and uniform["gain"]["value"] == 0
    interval = agreement["methods"]["attention"]["share"]["interval"]
    assert interval["low"] < agreement["methods"]["attention"]["share"]["value"] < interval["high"]
    assert "without a mask, left out of the agreement: 30." in done.stderr
    assert "Agreement with 59 lesion masks" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    text = (folder / "report.md").read_text()
    assert "| share inside the lesion |" in text and "figures/" in text


def test_sanity_is_printed_and_reported(everything):
    folder, done = everything
    sanity = json.loads((folder / "report.json").read_text())["sanity"]
    assert [step["name"] for step in sanity["cascade"]][:2] == ["trained", "logits"]
    assert sanity["repeated"]["attention"] < 1e-4
    assert re.search(r"Grad-CAM: (passes|fails)\.", done.stdout) and "Computed twice" in done.stdout


@pytest.fixture(scope="module")
def other(trained):
    """The same run with other weights, as another seed would give."""
    import keras

    run = trained[1]
    copy = run.with_name("other")
    shutil.copytree(run, copy)
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps({**card, "name": "other"}))
    model = keras.saving.load_model(copy / "model.keras")
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.normal(0, w.std() + 1e-3, w.shape) for w in model.get_weights()])
    model.save(copy / "model.keras")
    return copy


def test_maps_of_another_training(invoke, at_home, other, tmp_path):
    quick = (*QUICK, "--cases", 4, "--sanity", "--to", tmp_path)
    done = invoke("explain", "tiny", *quick, "--against", other)
    assert done.code == 0 and "Beside the maps of other, another training" in " ".join(done.out.split())
    found = json.loads((tmp_path / "report.json").read_text())["sanity"]["against"]
    assert found["name"] == "other" and 0 < abs(found["spearman"]["attention"]) < 1
    assert "another training: other" in (tmp_path / "report.md").read_text()
    done = invoke("explain", "tiny", *quick, "--against", "tiny")
    assert done.code == 2 and "must be another run" in done.err
    config = json.loads((other / "config.json").read_text())
    config["resolved"]["variant"]["pooling"] = "max"
    wider = other.with_name("wider")
    shutil.copytree(other, wider)
    (wider / "config.json").write_text(json.dumps(config))
    done = invoke("explain", "tiny", *quick, "--against", wider)
    assert done.code == 2 and "which has another pooling than 'tiny'" in done.err


def test_the_page_stands_alone(everything):
    html = (everything[0] / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert [a for a in page.addresses if not a.startswith(("data:", "#"))] == []
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)
    # Image, attention, two gradient maps, occlusion and 16 heads of each case, and two plots.
    assert len(page.images) == 3 * (5 + 16) + 2
    assert all(len(image["alt"]) > 20 for image in page.images)


@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_is_seen_whole_in_a_browser(everything, browser, width):
    address = (everything[0] / "report.html").as_uri()
    console, requests = seen(browser, address, width)
    assert console == [] and requests == [address]
    check_pictures(browser, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    sections = browser.execute_script("return [...document.querySelectorAll('h2')].map(h => h.textContent)")
    assert sections == ["Agreement with lesion masks", "Sanity checks", "Images", "Origin"]


def test_masks_of_other_images_are_an_error(invoke, at_home, masks, tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "other_segmentation.png").write_bytes(next(masks.iterdir()).read_bytes())
    done = invoke("explain", "tiny", "--masks", tmp_path / "masks", *QUICK, "--to", tmp_path / "out")
    assert done.code == 3 and "At least one image must have a lesion mask. Received: none for" in done.err
    assert not (tmp_path / "out").exists()


def test_an_external_dataset_may_have_no_labels_of_ours(invoke, at_home, photos, tmp_path):
    for i, (path, label) in enumerate(zip(photos.values(), ["melanoma", "wart"] * 3, strict=False)):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / label / f"x{i}.jpg").write_bytes(path.read_bytes())
    done = invoke(
        "explain", "tiny", "--external", tmp_path / "data", *QUICK, "--to", tmp_path / "o", "--json"
    )
    assert [case["true"] for case in done.json["cases"]].count("wart") == 3


def test_kernel_shap_without_its_package(invoke, at_home, photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    done = invoke("explain", "tiny", next(iter(photos.values())), "--methods", "shap")
    assert done.code == 2 and 'pip install "skinzoo[shap]"' in done.err


def test_kernel_shap_on_slic_superpixels(invoke, at_home, photos, tmp_path):
    pytest.importorskip("shap", reason="shap is not installed")
    methods = ("--methods", "shap", "--superpixels", "slic", "--segments", 9, "--shap-samples", 60)
    done = invoke("explain", "tiny", next(iter(photos.values())), *methods, "--to", tmp_path, "--json")
    assert done.json["choices"]["methods"] == ["shap"] and "SLIC" in done.json["notes"][0]
    assert "Kernel SHAP" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no-such-run"], 2, "no-such-run"),
        (["tiny", "a.jpg", "--part", "test"], 2, "--part must come without IMAGE"),
        (["tiny", "--age", 50], 2, "--age must come with IMAGE"),
        (["tiny", "--part", "tests"], 2, "tests"),
        (["tiny", "--external", "x", "--part", "test"], 2, "--external must come without"),
        (["tiny", "--dataset", "folder"], 2, "--external"),
        (["tiny", "--against", "tiny"], 2, "--against must come with --sanity"),
        (["tiny", "--methods", "gradcan"], 2, "Did you mean 'gradcam'?"),
        (["tiny", "--methods", ","], 2, "Received: none"),
        (["tiny", "--superpixels", "slick"], 2, "grid, slic"),
        (["tiny", "--segments", 2], 2, "4..1000"),
        (["tiny", "--cases", 0], 2, "at least 1"),
        (["tiny", "--masks", "no-folder"], 3, "no folder"),
        (["tiny", "no-image.jpg"], 3, "no-image.jpg"),
        (["tiny", "no-image.jpg", "--sex", "mal"], 2, "Did you mean 'male'?"),
        (["tiny", "no-image.jpg", "--age", 500], 3, "500"),
    ],
)
def test_wrong_use_is_one_line(invoke, at_home, arguments, code, words):
    done = invoke("explain", *arguments)
    assert done.code == code
    assert len(done.err.splitlines()) == 1 and words in done.err
