"""Charts and findings in the page, and the gallery that holds all it shows in itself."""

import re
import shutil

import pytest
from playwright.sync_api import expect

from trials.chromium import until


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_charts_are_shown_and_said_in_words(visit, address, compared, told):
    page = visit(address(compared))
    charts = told(compared).data["charts"]
    assert charts

    page.click("#mode-charts")

    figures = page.locator("#charts figure.chart")
    expect(figures).to_have_count(len(charts))
    for number, chart in enumerate(charts):
        expect(figures.nth(number)).to_contain_text(chart["title"])
        expect(figures.nth(number).locator("img")).to_have_attribute("alt", re.compile(re.escape(chart["text"])))
    until(page, "[...document.querySelectorAll('#charts img')].every(each => each.naturalWidth > 0)")


def test_findings_are_read_as_they_were_written(visit, compared, told, address):
    page = visit(address(compared))

    page.click("#mode-charts")

    findings = page.eval_on_selector_all("#findings li", "all => all.map(each => each.textContent)")
    assert findings == told(compared).data["findings"]


@pytest.fixture(scope="module")
def small(compared, compare, tmp_path_factory):
    """The small gallery, alone in a folder, as if it were sent to somebody."""
    folder = tmp_path_factory.mktemp("small") / "run"
    compare(compared, "--small", "--into", str(folder / "gallery"))
    return folder


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_the_small_gallery_needs_no_other_file(visit, address, small, told):
    assert not (small / "gallery/thumbs").exists()
    page = visit(address(small))

    page.click("#mode-wall")

    until(page, "[...document.querySelectorAll('#grid img')].every(each => each.naturalWidth > 0)")
    assert page.locator("#grid img").count() > 8
    page.click("#mode-charts")
    until(page, "[...document.querySelectorAll('#charts img')].every(each => each.naturalWidth > 0)")


def test_the_viewer_of_the_small_gallery_says_that_it_shows_thumbnails(visit, small, address):
    page = visit(address(small))

    page.evaluate("batchgen.openViewer(0, 1)")

    expect(page.locator("#viewer [data-notes]")).to_contain_text("thumbnail")
    expect(page.locator('#viewer .stage-side[data-shown="thumb"]').first).to_be_attached()


def test_a_gallery_is_moved_with_its_run(visit, compared, tmp_path, address):
    shutil.copytree(compared, tmp_path / "elsewhere")

    page = visit(address(tmp_path / "elsewhere"))
    page.evaluate("batchgen.openViewer(0)")

    expect(page.locator('#viewer .stage-side[data-shown="original"]').first).to_be_attached()
