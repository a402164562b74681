"""Marks: kept in the browser, taken out as a file that the command line reads, and put in again."""

import json
import re

import pytest
from playwright.sync_api import expect

from trials.chromium import until

WITHOUT_STORAGE = """
Object.defineProperty(globalThis, 'localStorage', {get() { throw new DOMException('denied', 'SecurityError'); }});
"""


@pytest.fixture
def facts(told, compared):
    return told(compared)


@pytest.fixture
def gallery(visit, address, compared):
    return visit(address(compared))


@pytest.fixture
def three(facts):
    """Three pictures that the grid shows at the beginning."""
    first = facts.coordinates(0)
    return [facts.cell(**first | {"sampler": "euler", "steps": steps}) for steps in ("2", "4", "8")]


def at(page, cell):
    return page.locator(f'#grid [data-cell="{cell}"]')


def marks(page, cells):
    """Keep the first, with four stars; reject the second; give the third a star."""
    for cell, keys in zip(cells, ("k4", "x", "1"), strict=True):
        page.evaluate("cell => batchgen.focusCell(cell)", cell)
        expect(at(page, cell)).to_be_focused()
        for key in keys:
            page.keyboard.press(key)


def exported(page, path):
    page.click("#marks-toggle")
    with page.expect_download() as coming:
        page.click("#marks-export")
    coming.value.save_as(path)
    return json.loads(path.read_text(encoding="utf-8"))


def wanted(facts, cells):
    one, two, three = (facts.data["id"][cell] for cell in cells)
    return {
        one: {"verdict": "keep", "stars": 4},
        two: {"verdict": "reject", "stars": 0},
        three: {"verdict": None, "stars": 1},
    }


def stand_in(found):
    """Return marks with what a file may leave out."""
    return {id_: {"verdict": None, "stars": 0} | mark for id_, mark in found["marks"].items()}


def test_marks_are_shown_and_survive_a_reload(gallery, three):
    marks(gallery, three)
    gallery.reload()
    gallery.wait_for_selector("html[data-ready]", state="attached")

    expect(at(gallery, three[0])).to_have_class(re.compile(r"\bkept\b"))
    expect(at(gallery, three[1])).to_have_class(re.compile(r"\brejected-mark\b"))


def test_the_exported_file_is_what_the_contract_says(gallery, three, facts, tmp_path):
    marks(gallery, three)

    found = exported(gallery, tmp_path / "marks.json")

    assert {name: found[name] for name in ("batchgen", "format", "run")} == {
        "batchgen": "marks",
        "format": 1,
        "run": "compared",
    }
    assert stand_in(found) == wanted(facts, three)


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_promote_and_reject_understand_the_file(gallery, three, facts, tmp_path, compared, typed):
    marks(gallery, three)
    file = tmp_path / "marks.json"
    exported(gallery, file)

    promoted = typed(compared.parents[1], "promote", str(compared), "--marks", str(file), "--dry-run", "steps=12")
    rejected = typed(compared.parents[1], "reject", str(compared), "--marks", str(file), "--dry-run")

    assert promoted.returncode == 0, promoted.stderr
    assert facts.data["id"][three[0]][:8] in promoted.stdout
    assert facts.data["id"][three[1]][:8] not in promoted.stdout
    assert rejected.returncode == 0, rejected.stderr
    assert facts.data["id"][three[1]][:8] in rejected.stdout
    assert facts.data["id"][three[0]][:8] not in rejected.stdout


def test_marks_by_the_buttons_of_the_recipe(gallery, three, facts, tmp_path):
    for cell, button in zip(three, (".keep", ".reject", '.star[data-stars="1"]'), strict=True):
        at(gallery, cell).click()
        expect(gallery.locator("#details")).to_have_attribute("data-cell", str(cell))
        gallery.click(f"#details .recipe {button}")
    at(gallery, three[0]).click()
    gallery.click('#details .recipe .star[data-stars="4"]')

    assert stand_in(exported(gallery, tmp_path / "marks.json")) == wanted(facts, three)


def test_marks_come_into_another_browser(gallery, three, facts, tmp_path, visit):
    marks(gallery, three)
    exported(gallery, tmp_path / "marks.json")
    other = visit(gallery.url)
    assert other.evaluate("batchgen.marks.counts().marked") == 0

    other.click("#marks-toggle")
    other.set_input_files("#marks-import", tmp_path / "marks.json")

    until(other, "batchgen.marks.counts().marked === 3")
    other.keyboard.press("Escape")
    assert stand_in(exported(other, tmp_path / "again.json")) == wanted(facts, three)


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "null",
        '{"batchgen": "votes", "format": 1, "run": "compared", "marks": {"0123456789abcdef": {"stars": 5}}}',
        '{"batchgen": "marks", "format": 99, "run": "compared", "marks": {"0123456789abcdef": {"stars": 5}}}',
        '{"batchgen": "marks", "format": 1, "run": "compared", "marks": {"__proto__": {"stars": 5}}}',
        '{"batchgen": "marks", "format": 1, "run": "compared", "marks": {"0123456789abcdef": {"stars": "<b>"}}}',
    ],
)
def test_a_file_of_something_else_changes_nothing_and_is_told_of(visit, compared, three, tmp_path, text, address):
    page = visit(address(compared))
    marks(page, three)
    (tmp_path / "odd.json").write_text(text)

    page.click("#marks-toggle")
    page.set_input_files("#marks-import", tmp_path / "odd.json")

    expect(page.locator("#toast")).not_to_be_empty()
    assert page.evaluate("batchgen.marks.counts().marked") == 3
    assert page.evaluate("({}).stars") is None


def test_clearing_asks_first(gallery, three):
    marks(gallery, three)
    gallery.click("#marks-toggle")

    gallery.click("#marks-clear")
    gallery.click("#confirm .no")
    assert gallery.evaluate("batchgen.marks.counts().marked") == 3
    if not gallery.locator("#marks-clear").is_visible():
        gallery.click("#marks-toggle")
    gallery.click("#marks-clear")
    gallery.click("#confirm .yes")

    until(gallery, "batchgen.marks.counts().marked === 0")


def test_a_browser_that_keeps_nothing_still_marks_and_exports(visit, compared, three, facts, tmp_path, address):
    page = visit(address(compared), before=lambda page: page.add_init_script(WITHOUT_STORAGE))

    marks(page, three)

    assert stand_in(exported(page, tmp_path / "marks.json")) == wanted(facts, three)


def test_two_windows_show_the_same_marks(gallery, three):
    other = gallery.context.new_page()
    other.goto(gallery.url)
    other.wait_for_selector("html[data-ready]", state="attached")

    gallery.bring_to_front()
    marks(gallery, three)

    until(other, "batchgen.marks.counts().marked === 3")
