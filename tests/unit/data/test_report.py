"""The dataset report in a real browser: nothing is fetched, nothing fails, figures are seen."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from html_pages import Page, check_pictures, seen

from skinzoo.data.read import find_dataset, read_dataset
from skinzoo.data.report import EXAMPLES, render_report, write_report
from skinzoo.data.splits import make_split
from skinzoo.errors import DataError

PHONE = 360


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report of the built-in sample with the leaky split of the paper."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINZOO_HOME", str(tmp_path_factory.mktemp("home")))
        table = read_dataset(dataset="sample", options={"images": 120})
        path = tmp_path_factory.mktemp("report") / "rapport é.html"
        split = make_split(table, "paper")
        write_report(table, path, split=split, spec=find_dataset(None, "sample"))
        return table, split, path


def test_the_page_stands_alone(made):
    page = Page(made[2].read_text(encoding="utf-8"))
    outside = [address for address in page.addresses if not address.startswith(("data:", "#"))]
    assert outside == []
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)


def test_every_image_has_a_text(made):
    table, _, path = made
    images = Page(path.read_text(encoding="utf-8")).images
    assert all(len(image["alt"]) > 10 for image in images)
    plots = [image for image in images if image["src"].startswith("data:image/svg+xml")]
    photos = [image for image in images if image["src"].startswith("data:image/jpeg")]
    assert len(plots) == 10
    assert len(photos) == EXAMPLES * len(table.attrs["classes"])
    titles = " ".join(plot["alt"] for plot in plots)
    for what in (
        "Images of each class",
        "Histogram of age",
        "Sex",
        "Localization",
        "Class by localization",
        "Box plots of age",
        "without age",
        "Classes in each part",
    ):
        assert what in titles


def test_numbers_are_those_of_the_table(made):
    table, split, path = made
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8")))
    for name, count in table["label"].value_counts().items():
        assert f" {name} {count:,} " in text
    assert split.hash in text and "leaky" in text and "selection on test" in text
    assert f" {len(table):,} " in text


def test_reports_of_one_table_are_equal(made):
    table, split, path = made
    again = render_report(table, split=split, spec=find_dataset(None, "sample"))
    assert again == path.read_text(encoding="utf-8")


def test_names_are_escaped(made, tmp_path):
    table = made[0].copy()
    table.attrs = {**made[0].attrs, "notes": ["<script>alert(1)</script>"], "dataset": "a & <b>"}
    text = render_report(table)
    assert "<script" not in text and "&lt;script&gt;" in text and "a &amp; &lt;b&gt;" in text


def test_a_table_with_nothing_known(made):
    table = made[0].copy()
    table.attrs = dict(made[0].attrs)
    table["age"] = float("nan")
    table["sex"] = table["localization"] = "unknown"
    table["lesion_id"] = table["confirmation"] = ""
    text = render_report(table)
    assert "No image has an age." in text and "no ids" in text
    assert len([image for image in Page(text).images if "svg" in image["src"]]) == 7


def test_broken_images_are_counted_not_shown(made, tmp_path):
    table = made[0].iloc[:30].reset_index(drop=True).copy()
    table.attrs = dict(made[0].attrs)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(Path(table["image_path"].iat[0]).read_bytes()[:400])
    table.loc[0, "image_path"] = str(broken)
    assert "1 image file cannot be decoded" in render_report(table)


def test_a_split_of_other_data_is_refused(made):
    table, split, _ = made
    other = table.iloc[:50].reset_index(drop=True)
    other.attrs = dict(table.attrs)
    with pytest.raises(DataError, match="must fit the table"):
        render_report(other, split=split)


@pytest.mark.skipif(sys.platform != "linux", reason="chromium's place is known on Linux only")
@pytest.mark.parametrize("width", [PHONE, 1280])
def test_in_a_browser(made, browser, width):
    address = made[2].as_uri()
    console, requests = seen(browser, address, width)
    assert console == []
    assert requests == [address]
    check_pictures(browser, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return getComputedStyle(document.body).fontSize") == "16px"


@pytest.mark.realdata
def test_the_report_of_ham10000(ham10000, tmp_path):
    table = read_dataset(ham10000)
    path = write_report(table, tmp_path / "ham.html", spec=find_dataset(ham10000))
    text = path.read_text(encoding="utf-8")
    assert "published ones are 600x450" in text and "7,470" in text
    assert path.stat().st_size < 2_000_000
