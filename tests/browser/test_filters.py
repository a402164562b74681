"""Filters over every field, search in prompts, order."""

import pytest
from playwright.sync_api import expect

from trials.chromium import until


@pytest.fixture
def facts(told, compared):
    return told(compared)


@pytest.fixture
def wall(visit, address, compared):
    page = visit(address(compared), viewport={"width": 1600, "height": 3000})
    page.click("#mode-wall")
    shows(page, range(96))
    return page


def shows(page, cells, *, ordered=True):
    cells = list(cells)
    until(page, "count => document.querySelectorAll('#grid [data-cell]').length === count", len(cells))
    seen = page.eval_on_selector_all("#grid [data-cell]", "all => all.map(each => Number(each.dataset.cell))")
    assert (seen if ordered else sorted(seen)) == cells


def panel(page):
    if not page.locator("#filters").is_visible():
        page.click("#filters-toggle")


def ticks(page, field, value):
    panel(page)
    facet = page.locator(f'.facet[data-field="{field}"]')
    if facet.evaluate("each => each.tagName === 'DETAILS' && !each.open"):
        facet.locator("summary").click()
    facet.get_by_role("checkbox", name=value).check()


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_a_facet_leaves_what_it_names(wall, facts):
    ticks(wall, "sampler", "heun")

    shows(wall, facts.cells(sampler="heun"))
    expect(wall.locator("#shown")).to_contain_text(str(len(facts.cells(sampler="heun"))))


def test_values_of_one_field_add_up_and_fields_narrow(wall, facts):
    ticks(wall, "sampler", "heun")
    ticks(wall, "sampler", "dpmpp_2m")
    ticks(wall, "seed", "1")

    shows(wall, sorted(facts.cells(sampler="heun", seed="1") + facts.cells(sampler="dpmpp_2m", seed="1")))


def test_states_are_a_field(wall, facts):
    ticks(wall, "state", "failed")

    shows(wall, facts.cells(seed="7"))


def test_a_chip_takes_its_filter_away(wall, facts):
    ticks(wall, "sampler", "heun")
    ticks(wall, "seed", "1")
    chip = wall.locator("#chips .chip", has_text="heun")

    chip.click()

    shows(wall, facts.cells(seed="1"))
    wall.click("#clear-filters")
    shows(wall, range(96))


def test_search_finds_words_of_prompts(wall, facts):
    blue = [cell for cell in range(96) if "blue" in facts.coordinates(cell)["prompt"]]

    wall.keyboard.press("/")
    wall.keyboard.type('BLUE "quoted" $home')

    shows(wall, blue)
    assert len(blue) == 48


def test_a_search_for_nothing_that_is_there_says_so(wall):
    wall.fill("#search", "no such prompt")

    expect(wall.locator("#empty")).to_be_visible()
    shows(wall, [])


def test_a_range_bounds_a_number(wall, facts):
    panel(wall)
    evaluations = next(each for each in facts.data["columns"] if each["name"] == "evaluations")["numbers"]
    ranged = wall.locator('.range[data-field="evaluations"]')
    ranged.locator("input.least").fill("4")
    ranged.locator("input.least").press("Enter")

    shows(wall, [cell for cell in range(96) if (evaluations[cell] or 0) >= 4])


def test_the_wall_is_put_in_order(wall, facts):
    evaluations = next(each for each in facts.data["columns"] if each["name"] == "evaluations")["numbers"]
    there = [cell for cell in range(96) if evaluations[cell] is not None]
    without = [cell for cell in range(96) if evaluations[cell] is None]

    wall.select_option("#sort", "evaluations")
    shows(wall, [*sorted(there, key=lambda cell: evaluations[cell]), *without])
    wall.click("#direction")

    shows(wall, [*sorted(there, key=lambda cell: -evaluations[cell]), *without])


def test_the_grid_leaves_out_empty_rows_and_columns_and_dims_what_is_between(visit, compared, facts, address):
    page = visit(address(compared))
    first = facts.coordinates(0)
    corners = [("euler", "2"), ("euler", "4"), ("dpmpp_2m", "2"), ("dpmpp_2m", "4")]
    cells = [facts.cell(**first | {"sampler": sampler, "steps": steps}) for sampler, steps in corners]
    for cell in (cells[0], cells[3]):
        page.evaluate("cell => batchgen.focusCell(cell)", cell)
        page.keyboard.press("k")

    ticks(page, "marks", "kept")

    shows(page, cells)
    dimmed = page.eval_on_selector_all("#grid .filtered", "all => all.map(each => Number(each.dataset.cell))")
    assert dimmed == cells[1:3]


def test_marks_are_a_field(wall):
    wall.evaluate("batchgen.focusCell(3)")
    wall.keyboard.press("k")

    ticks(wall, "marks", "kept")

    shows(wall, [3])
