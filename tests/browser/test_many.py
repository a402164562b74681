"""Ten thousand pictures in one page: answers at once, and scrolls without a blank row."""

from dataclasses import InitVar, dataclass

import pytest
from playwright.sync_api import Page, expect

from trials.chromium import until
from trials.galleries import many

ALLOWED = 2000
"""Milliseconds from the beginning of navigation to the first answered key, at best of three."""
NODES = 6000
"""Elements in the page, at any time. A picture a row for ten thousand would be ten times as many."""

ANSWERED = """
addEventListener('keydown', () => requestAnimationFrame(() => { globalThis.answered ??= performance.now(); }));
"""


@dataclass
class Work:
    """What a page had to do until it answered."""

    page: InitVar[Page]
    answered: float = 0.0
    """Milliseconds after the beginning of navigation."""
    busy: float = 0.0
    """Milliseconds of CPU that its thread took."""

    def __post_init__(self, page):
        self.metrics = page.context.new_cdp_session(page)
        self.metrics.send("Performance.enable", {"timeDomain": "threadTicks"})

    def see(self):
        found = {each["name"]: each["value"] for each in self.metrics.send("Performance.getMetrics")["metrics"]}
        self.busy = found["TaskDuration"] * 1000


WATCH = """() => {
    const grid = document.querySelector('#grid');
    const watch = globalThis.watch = {frames: 0, blank: [], nodes: 0, looking: true};
    const STEP = 24;
    const covered = (x, y) => {
        const found = document.elementFromPoint(x, y);
        return found !== null && found.closest('[role=gridcell], [role=rowheader], [role=columnheader]') !== null;
    };
    const look = ({data}) => {
        // What was scrolled since is not painted yet.
        if (data !== grid.scrollTop) return;
        const frame = grid.getBoundingClientRect();
        // Where the last row ends, nothing has to follow.
        const end = frame.top + grid.scrollHeight - grid.scrollTop;
        const bottom = Math.min(frame.top + grid.clientHeight, end - 2 * STEP);
        for (let y = frame.top + STEP; y < bottom - STEP; y += 2 * STEP) {
            const x = frame.left + grid.clientWidth / 2;
            // Between two cells there may be a gap, but not one as high as a row.
            if (![[0, 0], [0, STEP], [STEP, 0], [STEP, STEP]].some(([right, down]) => covered(x + right, y + down))) {
                watch.blank.push([watch.frames, Math.round(grid.scrollTop), Math.round(y - frame.top)]);
            }
        }
        watch.frames += 1;
        watch.nodes = Math.max(watch.nodes, document.getElementsByTagName('*').length);
    };
    // A message that is sent in a frame comes when the frame is painted.
    const channel = new MessageChannel();
    channel.port1.onmessage = look;
    const each = () => { channel.port2.postMessage(grid.scrollTop); if (watch.looking) requestAnimationFrame(each); };
    requestAnimationFrame(each);
}"""


@pytest.fixture(scope="module")
def many_places(tmp_path_factory):
    """A run of ten thousand places."""
    run = tmp_path_factory.mktemp("many") / "run"
    many(run)
    return run


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_the_page_answers_the_first_key_within_two_seconds(visit, address, many_places):
    where = address(many_places)
    took = []

    def before(page):
        page.add_init_script(ANSWERED)
        took.append(Work(page))

    for _ in range(3):
        page = visit(where, before=before)
        page.keyboard.press("w")
        took[-1].answered = until(page, "globalThis.answered")
        took[-1].see()
        expect(page.locator("#grid[data-mode=wall] [data-cell]").first).to_be_visible()
        if took[-1].answered < ALLOWED:
            break

    # On a machine that is busy with other things, what the page itself had to do counts.
    assert min(min(each.answered, each.busy) for each in took) < ALLOWED, took


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
@pytest.mark.parametrize("mode", ["grid", "wall"])
def test_no_row_is_blank_while_the_wheel_turns(visit, address, many_places, mode):
    page = visit(address(many_places))
    page.click(f"#mode-{mode}")
    box = page.locator("#grid").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.evaluate(WATCH)

    for turn in range(80):
        page.mouse.wheel(0, 900 if turn < 60 else -700)
    page.evaluate("document.querySelector('#grid').scrollTop = 1e9")
    page.evaluate("new Promise(done => setTimeout(done, 100))")
    page.evaluate("document.querySelector('#grid').scrollTop = 0")
    page.evaluate("new Promise(done => { watch.looking = false; setTimeout(done, 100); })")

    watch = page.evaluate("watch")
    assert watch["blank"] == []
    assert watch["frames"] > 20
    assert watch["nodes"] < NODES


def test_what_is_scrolled_to_is_loaded(visit, many_places, address):
    page = visit(address(many_places))
    page.click("#mode-wall")

    page.evaluate("batchgen.focusCell(0)")
    page.keyboard.press("Control+End")

    expect(page.locator('#grid [data-cell="9999"]')).to_be_visible()
    until(
        page,
        "document.querySelector('#grid [data-cell=\"9999\"] img').complete"
        " && document.querySelector('#grid [data-cell=\"9999\"] img').naturalWidth === 64",
    )


def test_filters_and_search_work_on_all_of_them(visit, many_places, address):
    page = visit(address(many_places))
    page.click("#mode-wall")

    page.fill("#search", "prompt 99")

    expect(page.locator("#shown")).to_contain_text("100")
    until(page, "[...document.querySelectorAll('#grid [data-cell]')].every(each => Number(each.dataset.cell) >= 9900)")


def test_a_grid_of_a_hundred_columns_scrolls_sideways_without_a_blank_one(visit, many_places, address):
    page = visit(address(many_places))
    page.click("#mode-grid")
    page.evaluate("batchgen.focusCell(0)")

    page.keyboard.press("Control+End")

    last = page.locator('#grid [data-cell="9999"]')
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    page.keyboard.press("Home")
    expect(page.locator('#grid [data-cell="9900"]')).to_be_focused()
