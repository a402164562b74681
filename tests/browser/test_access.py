"""For everybody: axe-core finds nothing serious, no finger drags sideways on a phone, and no mouse is needed."""

import pytest
from playwright.sync_api import expect

from trials.chromium import until

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
DESK = {"viewport": {"width": 1280, "height": 900}}


def grid(page):
    expect(page.locator("#grid [data-cell]").first).to_be_visible()


def details(page):
    page.evaluate("batchgen.focusCell(0)")
    page.keyboard.press("i") if not page.locator("#details").is_visible() else None
    expect(page.locator("#details .recipe")).to_be_visible()


def failures(page):
    page.evaluate("batchgen.set({at: {...batchgen.view.at, seed: 2}})")
    expect(page.locator('#grid [data-state="failed"]').first).to_be_visible()


def wall(page):
    page.click("#mode-wall")
    expect(page.locator("#grid[data-mode=wall] [data-cell]").first).to_be_visible()


def filters(page):
    page.click("#filters-toggle")
    expect(page.locator("#filters")).to_be_visible()
    page.evaluate("document.querySelectorAll('#filters details').forEach(each => { each.open = true; })")
    page.evaluate("batchgen.set({facets: {sampler: [0]}})")


def nothing_found(page):
    page.click("#mode-wall")
    page.fill("#search", "nothing of the kind")
    expect(page.locator("#empty")).to_be_visible()


def charts(page):
    page.click("#mode-charts")
    expect(page.locator("#charts")).to_be_visible()


def marks(page):
    page.evaluate("batchgen.focusCell(0)")
    page.keyboard.press("k")
    page.click("#marks-toggle")
    expect(page.locator("#marks-menu")).to_be_visible()


def help_(page):
    page.click("#help-toggle")
    expect(page.locator("#help")).to_be_visible()


def viewer(mode):
    def opened(page):
        page.evaluate("batchgen.openViewer(0, 1)")
        page.click(f'#viewer [data-mode-button="{mode}"]')
        expect(page.locator("#viewer")).to_have_attribute("data-mode", mode)

    return opened


def blind(page):
    page.click("#blind")
    expect(page.locator("#blind-axis")).to_be_visible()


def voting(page):
    blind(page)
    page.click('[data-blind="start"]')
    expect(page.locator('#blind-dialog[data-phase="vote"]')).to_be_visible()


def tally(page):
    voting(page)
    until(page, "document.querySelectorAll('#blind-dialog [data-shown=original]').length === 2")
    page.keyboard.press("ArrowLeft")
    page.click('[data-blind="finish"]')
    expect(page.locator("[data-tally]")).to_be_visible()


PLACES = {
    "grid": grid,
    "details": details,
    "failures": failures,
    "wall": wall,
    "filters": filters,
    "nothing found": nothing_found,
    "charts": charts,
    "marks": marks,
    "help": help_,
    "single": viewer("single"),
    "slider": viewer("slider"),
    "side": viewer("side"),
    "difference": viewer("difference"),
    "flicker": viewer("flicker"),
    "blind": blind,
    "voting": voting,
    "tally": tally,
}
"""Everything that the page can look like, and how to get there."""


@pytest.mark.parametrize(
    ("window", "rules"),
    [
        (DESK | {"color_scheme": "light"}, []),
        (PHONE | {"color_scheme": "dark"}, []),
        # The rest does not depend on colours.
        (DESK | {"color_scheme": "dark"}, ["color-contrast"]),
        (PHONE | {"color_scheme": "light"}, ["color-contrast"]),
    ],
    ids=["desk-light", "phone-dark", "desk-dark", "phone-light"],
)
def test_axe_finds_nothing_serious_anywhere(visit, address, compared, axe, window, rules):
    # Nothing moves, so that nothing is judged while its colours change.
    page = visit(address(compared), reduced_motion="reduce", **window)
    found = {}
    for name, go in PLACES.items():
        go(page)
        found[name] = axe(page, *rules)
        page.evaluate("history.replaceState(null, '', location.pathname); localStorage.clear()")
        page.reload()
        page.wait_for_selector("html[data-ready]", state="attached")

    assert {name: bad for name, bad in found.items() if bad} == {}


@pytest.mark.parametrize("name", PLACES)
def test_a_phone_never_scrolls_sideways(visit, compared, name, address):
    page = visit(address(compared), **PHONE)

    PLACES[name](page)

    width, room = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    assert width <= room <= 390
    outside = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, summary')].filter(each => {
            const box = each.getBoundingClientRect();
            let around = each.parentElement;
            // What can be drawn to and fro in a box of its own is within reach.
            const draws = each => ['auto', 'scroll'].includes(getComputedStyle(each).overflowX);
            while (around && !draws(around)) around = around.parentElement;
            return each.checkVisibility({visibilityProperty: true}) && box.width > 2 && !around
                && (box.right > innerWidth + 1 || box.left < -1);
        }).map(each => each.outerHTML.slice(0, 120))"""
    )
    assert outside == []


FOCUSED = """() => {
    const each = document.activeElement;
    // A tile draws its ring around the picture, a search field around field and icon.
    const near = [each, each.firstElementChild, each.parentElement].filter(Boolean);
    const ringed = style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const ring = near.some(each => ringed(getComputedStyle(each)));
    return [each.id || each.className || each.tagName, ring, each.checkVisibility({visibilityProperty: true})];
}"""


def test_tab_reaches_every_control_and_shows_where_it_is(visit, compared, address):
    page = visit(address(compared), **DESK)
    controls = page.eval_on_selector_all(
        "button[id], select[id], input[id]",
        """all => all.filter(each => each.checkVisibility({visibilityProperty: true}) && !each.disabled
            && !each.closest('#grid, dialog, [role=tablist]')).map(each => each.id)""",
    )

    seen = []
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        seen.append(page.evaluate(FOCUSED))

    assert set(controls) - {name for name, _, _ in seen} == set()
    assert [name for name, ring, visible in seen if not (ring and visible)] == []
    assert len(seen) < 200


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_the_whole_way_by_keyboard_alone(visit, address, compared, told, tmp_path):
    """Into the grid, to a picture, marked, compared under the slider, back, filtered, and the marks taken away."""
    page = visit(address(compared), **DESK)
    facts = told(compared)
    first = facts.coordinates(0)
    wanted = facts.cell(**first | {"sampler": "dpmpp_2m", "steps": "4"})
    for _ in range(100):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#grid') !== null"):
            break

    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(f'#grid [data-cell="{wanted}"]')).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("w")
    expect(page.locator("#viewer")).to_have_attribute("data-mode", "slider")
    page.keyboard.press("d")
    expect(page.locator("#viewer")).to_have_attribute("data-mode", "difference")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator(f'#grid [data-cell="{wanted}"]')).to_be_focused()
    page.keyboard.press("w")
    expect(page.locator("#grid")).to_have_attribute("data-mode", "wall")
    page.keyboard.press("/")
    page.keyboard.type("circle")
    expect(page.locator("#shown")).to_contain_text("48")
    page.locator("#marks-toggle").focus()
    page.keyboard.press("Enter")
    page.locator("#marks-export").focus()
    with page.expect_download() as coming:
        page.keyboard.press("Enter")
    coming.value.save_as(tmp_path / "marks.json")

    assert facts.data["id"][wanted] in (tmp_path / "marks.json").read_text()


def test_letters_typed_into_a_search_are_no_commands(visit, compared, address):
    page = visit(address(compared), **DESK)
    page.evaluate("batchgen.focusCell(0)")

    page.keyboard.press("/")
    page.keyboard.type("kxwgf5?")

    assert page.input_value("#search") == "kxwgf5?"
    assert page.evaluate("batchgen.marks.counts().marked") == 0
    expect(page.locator("#grid")).to_have_attribute("data-mode", "grid")


def test_a_dialog_gives_the_focus_back(visit, compared, address):
    page = visit(address(compared), **DESK)
    page.evaluate("batchgen.focusCell(0)")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()

    page.keyboard.press("Escape")

    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator('#grid [data-cell="0"]')).to_be_focused()
