"""A page that is open while its run goes on: progress, and newer data without losing the view."""

import re
import shutil

import pytest
from playwright.sync_api import expect

from batchgen.compare.facts import Extras
from batchgen.compare.gallery import Wanted, write_gallery, write_live
from batchgen.compare.layout import Compare
from batchgen.compare.results import read_results
from batchgen.store.layout import RunDirectory
from trials.chromium import until

SIDES = Wanted(sides=Compare(x="steps", y="sampler", page="prompt"))


class Run:
    """A run under way, whose gallery is written anew now and then."""

    def __init__(self, directory):
        self.directory = directory

    def has(self, made, *, left):
        """Write the gallery as it is when so many pictures are there."""
        found = read_results(RunDirectory(self.directory))
        places = [
            each
            if number < made
            else type(each)(coordinates=each.coordinates, id=each.id, state="missing", prompt=each.prompt)
            for number, each in enumerate(found.places)
        ]
        results = type(found)(name=found.name, axes=found.axes, places=tuple(places), environments=found.environments)
        write_gallery(results, self.directory / "gallery", SIDES, Extras())
        numbers = {"asked": len(places), "made": made, "failed": 0, "left": left, "seconds_left": 1800}
        write_live(self.directory / "gallery", numbers if left else None)


@pytest.fixture
def run(compared, tmp_path):
    shutil.copytree(compared, tmp_path / "compared")
    return Run(tmp_path / "compared")


@pytest.fixture
def gallery(visit, address, run):
    """Open the page when two pictures are there, with a clock of its own that can be put forward."""
    run.has(2, left=94)
    return visit(address(run.directory), before=lambda page: page.clock.install())


def later(page):
    """Let more time pass than the page waits between two looks."""
    page.clock.run_for(11_000)


def made(page):
    return page.locator('#grid [data-cell][data-state="made"]')


def test_progress_and_time_left_are_shown_while_a_run_is_going(gallery):
    expect(gallery.locator("#progress")).to_be_visible()
    expect(gallery.locator("#progress")).to_contain_text(re.compile("30 min"))
    expect(gallery.locator("#progress")).to_contain_text("2")
    expect(gallery.locator("#progress")).to_contain_text("96")


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_newer_data_is_shown_in_the_same_view(gallery, run):
    gallery.select_option("#rows", "seed")
    gallery.select_option('.selector[data-axis="schedule"] select', label="karras")
    expect(gallery.locator("#grid [data-cell]").first).to_be_visible()
    before = made(gallery).count()

    run.has(60, left=36)
    later(gallery)

    expect(gallery.locator("#progress")).to_contain_text("60")
    expect(made(gallery)).not_to_have_count(before)
    expect(gallery.locator("#rows")).to_have_value("seed")
    assert (
        gallery.eval_on_selector(
            '.selector[data-axis="schedule"] select', "each => each.selectedOptions[0].textContent"
        )
        .strip()
        .startswith("karras")
    )


def test_marks_and_the_open_viewer_stay_when_newer_data_comes(gallery, run):
    gallery.evaluate("batchgen.focusCell(0)")
    gallery.keyboard.press("k")
    gallery.evaluate("batchgen.openViewer(0, 1)")
    run.has(60, left=36)

    later(gallery)

    until(gallery, "batchgen.data.state.filter(each => each === 0).length > 2")
    expect(gallery.locator("#viewer")).to_be_visible()
    expect(gallery.locator("#viewer")).to_have_attribute("data-a", "0")
    assert gallery.evaluate("batchgen.marks.get(batchgen.data.id[0]).verdict") == "keep"


def test_the_place_of_the_keyboard_stays_when_newer_data_comes(gallery, run):
    gallery.evaluate("batchgen.focusCell(0)")
    gallery.keyboard.press("ArrowRight")
    cell = gallery.evaluate("document.activeElement.dataset.cell")
    run.has(60, left=36)

    later(gallery)

    until(gallery, "batchgen.data.state.filter(each => each === 0).length > 2")
    expect(gallery.locator(f'#grid [data-cell="{cell}"]')).to_be_focused()


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_progress_goes_away_when_the_run_has_ended(gallery, run):
    expect(gallery.locator("#progress")).to_be_visible()
    run.has(96, left=0)

    later(gallery)

    expect(gallery.locator("#progress")).to_be_hidden()
    expect(made(gallery).nth(7)).to_be_visible()


def test_a_page_of_an_ended_run_asks_no_more(visit, compared, address):
    asked = []
    page = visit(address(compared), before=lambda page: page.clock.install())
    page.on("request", lambda request: asked.append(request.url))

    for _ in range(6):
        later(page)

    assert len([each for each in asked if "live.js" in each]) <= 1
    assert not [each for each in asked if "data.js" in each]


def test_a_gallery_without_live_js_is_a_gallery(run, address, browser, visited):
    run.has(2, left=94)
    (run.directory / "gallery/live.js").unlink()

    with visited(browser, address(run.directory)) as (page, guard):
        expect(page.locator("#progress")).to_be_hidden()
        expect(page.locator("#grid [data-cell]").first).to_be_visible()

    # The browser's own words about the file that is not there, and nothing else.
    assert [each for each in guard.complaints if "live.js" not in each] == []
