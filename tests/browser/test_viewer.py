"""The viewer: what is on the screen is compared with the pictures on the disk, pixel by pixel."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from trials.chromium import until

WINDOW = {"width": 1280, "height": 900}


@pytest.fixture
def facts(told, compared):
    return told(compared)


@pytest.fixture
def pair(facts):
    """Two pictures that differ in their steps alone."""
    same = {**facts.coordinates(0), "sampler": "euler", "schedule": "karras"}
    return facts.cell(**same | {"steps": "2"}), facts.cell(**same | {"steps": "8"})


@pytest.fixture
def files(facts, pair, compared):
    """Return the files of the pair."""
    return [compared / "gallery" / facts.data["picture"][cell] for cell in pair]


@pytest.fixture
def viewer(visit, address, compared, pair):
    """Open the viewer of the pair, in a window without history."""
    page = visit(address(compared), viewport=WINDOW)
    page.evaluate("([a, b]) => batchgen.openViewer(a, b)", list(pair))
    expect(page.locator("#viewer")).to_be_visible()
    return page


def chooses(page, mode):
    page.click(f'#viewer [data-mode-button="{mode}"]')
    expect(page.locator("#viewer")).to_have_attribute("data-mode", mode)


def on_screen(page):
    """Return the pixels of the picture on the stage, as it is shown: (height, width, 3)."""
    expect(page.locator('#viewer .stage-side[data-shown="loading"]')).to_have_count(0)
    page.mouse.move(2, 2)
    box = page.evaluate(
        """() => {
            const stage = document.querySelector('#viewer .stage-pane') ?? document.querySelector('#viewer .stage');
            const shown = stage.querySelector('.stage-side img').getBoundingClientRect();
            const frame = stage.getBoundingClientRect();
            const left = Math.max(shown.left, frame.left), top = Math.max(shown.top, frame.top);
            const right = Math.min(shown.right, frame.right), bottom = Math.min(shown.bottom, frame.bottom);
            return {x: left, y: top, width: right - left, height: bottom - top};
        }"""
    )
    return page.screenshot(clip=box)


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_a_picture_is_shown_as_it_is_on_the_disk(viewer, files, seen):
    chooses(viewer, "single")

    found = seen(on_screen(viewer))

    assert found.agrees(files[0]) > 0.9
    assert found.agrees(files[1]) < 0.5


def test_left_of_the_slider_is_the_one_and_right_of_it_the_other(viewer, files, seen):
    chooses(viewer, "slider")
    handle = viewer.locator("#viewer [role=slider]")
    stage = viewer.locator("#viewer .stage").bounding_box()
    box = handle.bounding_box()
    middle = stage["y"] + stage["height"] / 2

    viewer.mouse.move(box["x"] + box["width"] / 2, middle)
    viewer.mouse.down()
    viewer.mouse.move(stage["x"] + stage["width"] * 0.4, middle, steps=5)
    viewer.mouse.up()

    expect(handle).to_have_attribute("aria-valuenow", re.compile("^[234]"))
    found = seen(on_screen(viewer))
    a, b = (found.as_is(file) for file in files)
    of_a, of_b = found.where(a), found.where(b)
    fifth = of_a.shape[1] // 5
    assert of_a[:, :fifth].mean() > 0.9
    assert of_b[:, -fifth:].mean() > 0.9
    assert of_a[:, -fifth:].mean() < 0.5


def test_the_slider_moves_by_keys(viewer):
    chooses(viewer, "slider")
    handle = viewer.locator("#viewer [role=slider]")
    handle.focus()

    viewer.keyboard.press("Home")
    expect(handle).to_have_attribute("aria-valuenow", "0")
    viewer.keyboard.press("PageUp")
    viewer.keyboard.press("ArrowRight")
    expect(handle).to_have_attribute("aria-valuenow", "11")
    viewer.keyboard.press("End")
    expect(handle).to_have_attribute("aria-valuenow", "100")


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
@pytest.mark.parametrize("amplified", [0, 2])
def test_the_difference_is_that_of_the_pixels_amplified(viewer, files, seen, amplified):
    chooses(viewer, "difference")
    viewer.locator("#amplify").fill(str(amplified))

    found = seen(on_screen(viewer))

    a, b = (found.as_is(file) for file in files)
    wanted = np.minimum(255, np.abs(a - b) * 2**amplified)
    assert found.where(wanted, tolerance=4 * 2**amplified).mean() > 0.9
    assert wanted.mean() > 20


def test_a_picture_does_not_differ_from_itself(viewer, pair, seen):
    viewer.evaluate("a => batchgen.openViewer(a, a)", pair[0])
    expect(viewer.locator("#viewer")).to_have_attribute("data-b", str(pair[0]))
    chooses(viewer, "difference")
    viewer.locator("#amplify").fill("5")

    assert seen(on_screen(viewer)).pixels.max() <= 1
    expect(viewer.locator("#viewer [data-notes]")).to_contain_text("the same cell")


def test_flicker_shows_the_one_and_then_the_other(viewer, files, seen):
    chooses(viewer, "flicker")
    viewer.get_by_role("button", name="stop taking turns").click()
    stage = viewer.locator("#viewer .stage")
    for _ in range(2):
        side = stage.get_attribute("data-flicker")

        assert seen(on_screen(viewer)).agrees(files["ab".index(side)]) > 0.9

        viewer.click('#viewer [data-flicker="other"]')
        expect(stage).to_have_attribute("data-flicker", "ba"["ab".index(side)])


def sides(page):
    """Return where each of the two pictures lies in its half: left, top, width."""
    return page.evaluate(
        """() => [...document.querySelectorAll('#viewer .stage-pane')].map(pane => {
            const frame = pane.getBoundingClientRect();
            const picture = pane.querySelector('.stage-side img').getBoundingClientRect();
            return [picture.left - frame.left, picture.top - frame.top, picture.width].map(Math.round);
        })"""
    )


def test_both_sides_zoom_and_move_together(viewer):
    chooses(viewer, "side")
    expect(viewer.locator('#viewer .stage-side[data-shown="original"]')).to_have_count(2)
    begun = sides(viewer)
    stage = viewer.locator("#viewer .stage").bounding_box()
    x, y = stage["x"] + stage["width"] / 4, stage["y"] + stage["height"] / 2

    viewer.mouse.move(x, y)
    for _ in range(4):
        viewer.mouse.wheel(0, -240)
    until(viewer, "document.querySelector('#viewer .stage').dataset.fit === 'false'")
    zoomed = sides(viewer)
    viewer.mouse.down()
    viewer.mouse.move(x + 60, y + 40, steps=4)
    viewer.mouse.up()
    moved = sides(viewer)

    assert len(begun) == 2
    for each in (begun, zoomed, moved):
        assert np.abs(np.subtract(*each)).max() <= 1
    assert zoomed[0][2] > 1.3 * begun[0][2]
    assert moved[0][0] - zoomed[0][0] == pytest.approx(60, abs=2)
    assert moved[0][1] - zoomed[0][1] == pytest.approx(40, abs=2)


def test_the_buttons_for_zoom_do_what_they_say(viewer):
    stage = viewer.locator("#viewer .stage")

    viewer.click('#viewer [data-zoom="real"]')
    expect(stage).to_have_attribute("data-scale", re.compile(r"^1(\.0+)?$"))
    viewer.click('#viewer [data-zoom="in"]')
    expect(stage).to_have_attribute("data-scale", re.compile(r"^1\.[1-9]|^[2-9]"))
    viewer.click('#viewer [data-zoom="fit"]')
    expect(stage).to_have_attribute("data-fit", "true")


def test_the_viewer_tells_in_what_two_pictures_differ(viewer):
    rows = viewer.locator("#viewer [data-differs] tr[data-field]")

    expect(rows).to_have_count(1)
    expect(rows).to_have_attribute("data-field", "steps")
    expect(rows).to_contain_text("2")
    expect(rows).to_contain_text("8")


def test_other_pictures_are_picked_without_leaving(viewer, facts, pair):
    viewer.select_option('#viewer select[data-pick="b"][data-axis="sampler"]', label="dpmpp_2m")

    wanted = facts.cell(**facts.coordinates(pair[1]) | {"sampler": "dpmpp_2m"})
    expect(viewer.locator("#viewer")).to_have_attribute("data-b", str(wanted))
    expect(viewer.locator("#viewer")).to_have_attribute("data-a", str(pair[0]))
    viewer.click('#viewer [data-viewer="swap"]')
    expect(viewer.locator("#viewer")).to_have_attribute("data-a", str(wanted))


def test_what_is_missing_says_why_in_the_viewer_too(viewer, facts, pair):
    failed = facts.cell(**facts.coordinates(pair[0]) | {"seed": "7"})

    viewer.evaluate("([a, b]) => batchgen.openViewer(a, b)", [failed, pair[1]])

    side = viewer.locator('#viewer .stage-side[data-side="a"]').first
    expect(side).to_have_attribute("data-shown", "reason")
    expect(side).to_contain_text("asked to fail: error")


def test_the_address_opens_the_viewer_again(viewer, pair):
    until(viewer, "location.hash.includes('open')")
    viewer.reload()

    expect(viewer.locator("#viewer")).to_be_visible()
    expect(viewer.locator("#viewer")).to_have_attribute("data-a", str(pair[0]))
    expect(viewer.locator("#viewer")).to_have_attribute("data-b", str(pair[1]))


def test_the_arrows_lead_to_the_neighbours(viewer, facts, pair):
    viewer.locator("#viewer .stage").focus()
    chooses(viewer, "single")
    viewer.locator("#viewer .stage").focus()

    viewer.keyboard.press("ArrowRight")

    beside = facts.cell(**facts.coordinates(pair[0]) | {"steps": "4"})
    expect(viewer.locator("#viewer")).to_have_attribute("data-a", str(beside))
    viewer.keyboard.press("Escape")
    expect(viewer.locator("#viewer")).to_be_hidden()
    expect(viewer.locator(f'#grid [data-cell="{pair[0]}"]')).to_be_focused()


def test_a_key_right_after_closing_does_not_open_it_again(viewer):
    """The dialog's `close` event comes a task after it is gone from the screen."""
    viewer.evaluate(
        """() => {
            document.querySelector('#viewer').close();
            document.dispatchEvent(new KeyboardEvent('keydown', {key: 'w', bubbles: true}));
        }"""
    )

    expect(viewer.locator("#grid")).to_have_attribute("data-mode", "wall")
    expect(viewer.locator("#viewer")).to_be_hidden()
    until(viewer, "!location.hash.includes('open')")
