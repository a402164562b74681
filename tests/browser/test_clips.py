"""Clips side by side, in step, with a scrubber."""

import pytest
from playwright.sync_api import expect

from trials.chromium import until

MOVING = {
    "name": "moving",
    "set": {"model": "demo_motion", "steps": 1},
    "prompts": ["a red circle moving right"],
    "seeds": [0, 1],
    "sweep": {"frames": [9, 17, 25]},
    "compare": {"x": "frames", "y": "seed", "page": "prompt"},
}


@pytest.fixture(scope="module")
def moving(ran):
    return ran(MOVING)


@pytest.fixture
def gallery(visit, address, moving):
    page = visit(address(moving))
    expect(page.locator("#grid .film")).to_have_count(6)
    until(page, "[...document.querySelectorAll('#grid .film')].every(each => each.dataset.frame)")
    return page


FRAMES = """() => [...document.querySelectorAll('#grid .film')].map(each =>
    [batchgen.cell(Number(each.closest('[data-cell]').dataset.cell)).film.frames, Number(each.dataset.frame)])"""


SIDES = """() => [...document.querySelectorAll('#viewer .stage-side')].map(side => {
    const video = side.querySelector('video');
    return video ? Math.floor(video.currentTime * 8 + 0.01) : Number(side.querySelector('.film').dataset.frame);
})"""
"""The frame of each side, of eight a second: of the file that is played, or of what stands in for it."""


def pause(page):
    if page.evaluate("batchgen.clock.playing"):
        page.locator('.transport [data-clock="play"]').first.click()
    until(page, "!batchgen.clock.playing")


def test_all_clips_play_by_one_clock(gallery):
    if not gallery.evaluate("batchgen.clock.playing"):
        gallery.locator('.transport [data-clock="play"]').first.click()
    until(gallery, "batchgen.clock.seconds > 0.2")
    begun = gallery.evaluate("batchgen.clock.seconds")
    until(gallery, "begun => batchgen.clock.seconds !== begun", begun)

    pause(gallery)

    seconds = gallery.evaluate("batchgen.clock.seconds")
    for frames, frame in gallery.evaluate(FRAMES):
        # At eight frames a second; a shorter clip holds its last frame.
        assert frame == min(frames - 1, int(seconds * 8 + 1e-6))


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
@pytest.mark.parametrize("wanted", [0, 3, 12, 24])
def test_the_scrubber_puts_all_of_them_to_one_frame(gallery, wanted):
    gallery.locator('.transport input[data-clock="scrub"]').first.fill(str(wanted))

    expect(gallery.locator('#grid .film[data-frame="0"]')).to_have_count(6 if wanted == 0 else 0)
    assert sorted(set(map(tuple, gallery.evaluate(FRAMES)))) == [
        (frames, min(frames - 1, wanted)) for frames in (9, 17, 25)
    ]
    assert not gallery.evaluate("batchgen.clock.playing")


def test_what_a_clip_shows_changes_with_its_frame(gallery):
    """By its picture on the screen: the disc of the fake engine moves."""
    film = gallery.locator("#grid .film").last
    scrub = gallery.locator('.transport input[data-clock="scrub"]').first
    seen = set()
    for frame in (0, 4, 8):
        scrub.fill(str(frame))
        gallery.mouse.move(2, 2)
        seen.add(film.screenshot())

    assert len(seen) == 3


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_two_clips_are_in_step_in_the_viewer_too(gallery):
    gallery.evaluate("batchgen.openViewer(1, 2)")
    gallery.click('#viewer [data-mode-button="side"]')

    scrub = gallery.locator('#viewer .transport input[data-clock="scrub"]')
    scrub.fill("6")

    until(gallery, f"({SIDES})().join() === '6,6'")


def test_less_motion_is_respected(visit, moving, address):
    page = visit(address(moving), reduced_motion="reduce")
    expect(page.locator("#grid .film")).to_have_count(6)

    assert not page.evaluate("batchgen.clock.playing")
