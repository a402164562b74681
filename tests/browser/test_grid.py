"""The grid and the wall: what stands where, and that an address brings all of it back."""

import re

import pytest
from playwright.sync_api import expect

from trials.chromium import until


@pytest.fixture
def gallery(visit, address, compared):
    return visit(address(compared))


@pytest.fixture
def facts(told, compared):
    return told(compared)


def shown(page):
    """Return what a person sees: kind of view, headers and cells, each with its place and its picture."""
    return page.evaluate(
        """() => ({
            mode: document.querySelector('#grid').dataset.mode,
            columns: [...document.querySelectorAll('#grid [role=columnheader]')].map(each => each.textContent),
            rows: [...document.querySelectorAll('#grid [role=rowheader]')].map(each => each.textContent),
            cells: [...document.querySelectorAll('#grid [role=gridcell]:not(.absent)')].map(each => ({
                cell: Number(each.dataset.cell),
                row: each.closest('[role=row]').querySelector('[role=rowheader]')?.textContent,
                column: document.querySelector('#grid [role=columnheader][aria-colindex="'
                    + each.getAttribute('aria-colindex') + '"]')?.textContent,
                picture: each.querySelector('img')?.getAttribute('src') ?? '',
                state: each.dataset.state,
            })),
        })"""
    )


def stands(page, facts, rows, columns, **at):
    """Assert that the grid shows the cells at these coordinates, each under its headers, with its picture."""
    expect(page.locator("#rows")).to_have_value(rows)
    expect(page.locator("#columns")).to_have_value(columns)
    wanted = facts.cells(**at)
    for cell in wanted:
        expect(page.locator(f'#grid [role=gridcell][data-cell="{cell}"]')).to_be_visible()
    seen = shown(page)
    assert sorted(each["cell"] for each in seen["cells"]) == sorted(wanted)
    for each in seen["cells"]:
        has = facts.coordinates(each["cell"])
        assert each["row"] == has[rows]
        assert each["column"] == has[columns]
        assert each["state"] == facts.state(each["cell"])
        if each["state"] == "made":
            assert each["picture"] == facts.data["thumb"][each["cell"]]


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_the_grid_begins_as_the_manifest_compares(gallery, facts):
    first = facts.coordinates(0)

    stands(gallery, facts, "sampler", "steps", prompt=first["prompt"], schedule=first["schedule"], seed=first["seed"])


def test_every_picture_shown_is_loaded(gallery):
    until(
        gallery, "[...document.querySelectorAll('#grid img')].every(each => each.complete && each.naturalWidth === 64)"
    )
    assert gallery.locator("#grid img").count() == 8


def test_any_two_axes_are_rows_and_columns(gallery, facts):
    first = facts.coordinates(0)

    gallery.select_option("#rows", "seed")
    gallery.select_option("#columns", "schedule")

    stands(gallery, facts, "seed", "schedule", prompt=first["prompt"], sampler=first["sampler"], steps=first["steps"])


def test_an_axis_chosen_for_both_sides_changes_places_with_the_other(gallery, facts):
    first = facts.coordinates(0)

    gallery.select_option("#rows", "steps")

    at = {name: first[name] for name in ("prompt", "schedule", "seed")}
    stands(gallery, facts, "steps", "sampler", **at)


def test_rows_and_columns_are_swapped(gallery, facts):
    first = facts.coordinates(0)

    gallery.click("#swap")

    at = {name: first[name] for name in ("prompt", "schedule", "seed")}
    stands(gallery, facts, "steps", "sampler", **at)


def test_selectors_go_through_the_other_axes(gallery, facts):
    first = facts.coordinates(0)
    prompts = next(axis["values"] for axis in facts.data["axes"] if axis["name"] == "prompt")

    gallery.click('.selector[data-axis="prompt"] .next')
    gallery.select_option('.selector[data-axis="seed"] select', label="7")

    stands(gallery, facts, "sampler", "steps", prompt=prompts[1], schedule=first["schedule"], seed="7")


def test_what_is_missing_says_why(gallery, facts):
    first = facts.coordinates(0)
    gallery.select_option('.selector[data-axis="seed"] select', label="7")
    failed = facts.cell(**{**first, "seed": "7"})
    cell = gallery.locator(f'#grid [data-cell="{failed}"]')

    expect(cell).to_have_attribute("data-state", "failed")
    expect(cell).to_have_attribute("aria-label", re.compile("asked to fail: error"))
    expect(cell).to_contain_text("asked to fail: error")


def test_a_picture_that_is_gone_says_so(gallery, facts):
    gone = next(cell for cell in range(facts.data["count"]) if facts.state(cell) == "missing")
    gallery.select_option('.selector[data-axis="seed"] select', label=facts.coordinates(gone)["seed"])
    cell = gallery.locator(f'#grid [data-cell="{gone}"]')

    expect(cell).to_contain_text("its file is gone")
    assert cell.locator("img").count() == 0


def test_a_place_that_nothing_was_asked_for_is_empty(gallery, facts):
    assert facts.cells(sampler="heun", steps="8") == []

    expect(gallery.locator("#grid .absent")).to_have_count(1)


def test_counts_are_those_of_the_run(gallery):
    expect(gallery.locator("#counts .count")).to_have_text(["63 made", "1 missing", "32 failed"])


def test_the_wall_shows_every_cell_in_the_manifests_order(gallery, facts):
    gallery.set_viewport_size({"width": 1600, "height": 3000})

    gallery.click("#mode-wall")

    expect(gallery.locator("#mode-wall")).to_have_attribute("aria-selected", "true")
    until(gallery, "count => document.querySelectorAll('#grid [data-cell]').length === count", 96)
    assert [each["cell"] for each in shown(gallery)["cells"]] == list(range(facts.data["count"]))


def viewed(page):
    page.click("#swap")
    page.select_option("#columns", "schedule")
    page.select_option('.selector[data-axis="seed"] select', label="1")
    page.click('.selector[data-axis="prompt"] .next')


def walled(page):
    page.click("#mode-wall")
    page.fill("#search", "blue")


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
@pytest.mark.parametrize("changed", [viewed, walled])
def test_the_address_brings_the_view_back(gallery, changed):
    begun = shown(gallery)
    changed(gallery)
    until(gallery, "location.hash.length > 1")
    before = shown(gallery)
    assert before != begun

    gallery.reload()
    gallery.wait_for_selector("html[data-ready]", state="attached")
    other = gallery.context.new_page()
    other.goto(gallery.url)
    other.wait_for_selector("html[data-ready]", state="attached")

    for page in (gallery, other):
        # Beyond the edge of the screen the page is made a moment later.
        until(page, "count => document.querySelectorAll('#grid [data-cell]').length >= count", len(before["cells"]))
        assert shown(page) == before


def test_an_address_with_nonsense_opens_the_page_all_the_same(visit, compared, address):
    where = address(compared)
    nonsense = "rows=__proto__&columns=nowhere&at.seed=zzz&at.__proto__=1&is.toString=x&in.seed=a..b&open=99999--5"

    page = visit(f"{where}#{nonsense}&mode=<script>&sort=constructor&size=NaN&q=&%F0%28")

    # No such rows and no such columns: a single picture.
    assert [each["cell"] for each in shown(page)["cells"]] == [0]


def test_light_and_dark_follow_the_system_and_then_the_person(visit, compared, address):
    where = address(compared)
    brightness = """() => {
        const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
        return (r + g + b) / 3;
    }"""
    light = visit(where, color_scheme="light")
    dark = visit(where, color_scheme="dark")
    assert light.evaluate(brightness) > 200
    assert dark.evaluate(brightness) < 60

    dark.click("#theme")

    until(dark, f"({brightness})() > 200")
    dark.reload()
    dark.wait_for_selector("html[data-ready]", state="attached")
    assert dark.evaluate(brightness) > 200
