"""The recipe of a cell, and that what is copied from it asks for the very same picture."""

import json
import re
import shlex

import pytest
from playwright.sync_api import expect

from trials.chromium import until

FAKE = "runtime.engine=fake"
AWKWARD = {
    "name": "awkward",
    "set": {"width": 48, "height": 40, "negative_prompt": "blur, 'noise', $HOME", "emphasis": "none"},
    "prompts": [
        'she said "no"; it\'s $HOME `id` \\ and 100%!',
        "two\nlines # no comment, a: b, {a|b} ${x}",
        {"prompt": "- a list item", "guidance_scale": 4.5, "name": "null"},
        "  spaces before and after  ",
        "שלום עולם 日本語 ☕",
    ],
    "seeds": [0, 18446744073709551615],
    "sweep": {"sampler": ["euler", "heun"], "steps": [2]},
}


@pytest.fixture(scope="module")
def awkward(ran):
    return ran(AWKWARD)


@pytest.fixture
def page(visit, address, awkward):
    return visit(address(awkward))


@pytest.fixture
def facts(told, awkward):
    return told(awkward)


def shows_recipe_of(page, cell):
    page.evaluate("cell => batchgen.focusCell(cell)", cell)
    expect(page.locator("#details")).to_have_attribute("data-cell", str(cell))
    if not page.locator("#details").is_visible():
        page.keyboard.press("i")


def copied(page, button):
    page.evaluate("navigator.clipboard.writeText('')")
    page.click(f"#details .recipe {button}")
    until(page, "navigator.clipboard.readText().then(text => text.length)")
    return page.evaluate("navigator.clipboard.readText()")


def planned(said):
    """Return names of the pictures that a plan would make; they end in eight digits of the job's id."""
    assert said.returncode == 0, said.stderr
    return [job["name"][-8:] for job in json.loads(said.stdout)["jobs"]]


def test_every_copied_command_line_asks_for_the_same_picture(page, facts, typed, tmp_path):
    for cell in range(0, facts.data["count"], 3):
        shows_recipe_of(page, cell)
        words = shlex.split(copied(page, ".copy-command"))
        assert words[:2] == ["batchgen", "run"]

        said = typed(tmp_path, "plan", "--json", "--jobs", *words[2:], FAKE)

        assert planned(said) == [facts.data["id"][cell][:8]]


def test_every_copied_manifest_asks_for_the_same_picture(page, facts, typed, tmp_path):
    for cell in range(1, facts.data["count"], 3):
        shows_recipe_of(page, cell)
        (tmp_path / "one.yaml").write_text(copied(page, ".copy-yaml"), encoding="utf-8")

        said = typed(tmp_path, "plan", "--json", "--jobs", "one.yaml", FAKE)

        assert planned(said) == [facts.data["id"][cell][:8]]


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_the_keys_copy_the_same_as_the_buttons(page, facts):
    page.evaluate("batchgen.focusCell(2)")
    shows_recipe_of(page, 2)
    command, yaml = copied(page, ".copy-command"), copied(page, ".copy-yaml")
    page.evaluate("batchgen.focusCell(2)")
    for key, text in (("c", command), ("y", yaml)):
        page.evaluate("navigator.clipboard.writeText('')")
        page.keyboard.press(key)
        until(page, "navigator.clipboard.readText().then(text => text.length)")
        assert page.evaluate("navigator.clipboard.readText()") == text


def test_the_recipe_says_every_field_of_the_record(page, facts, awkward):
    cell = 5
    shows_recipe_of(page, cell)
    words = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('#details .recipe dt')]
            .map(each => [each.textContent.trim(), each.nextElementSibling.textContent]))"""
    )

    record = json.loads(next((awkward / "records").glob(f"{facts.data['id'][cell][:12]}*")).read_bytes())
    recipe = record["recipe"]
    for name in ("seed", "steps", "sampler", "schedule", "width", "height", "negative_prompt"):
        assert str(recipe[name]) in [words.get(name), *words.values()], name
    assert page.text_content("#details .recipe .prompt-text") == recipe["prompt"]


def test_tapping_a_cell_shows_its_recipe(visit, compared, told, address):
    page = visit(address(compared), viewport={"width": 390, "height": 844}, has_touch=True)
    cell = page.locator("#grid [data-cell]").first

    cell.tap()

    expect(page.locator("#details")).to_be_visible()
    expect(page.locator("#details")).to_have_attribute("data-cell", cell.get_attribute("data-cell"))
    expect(page.locator("#details .recipe")).to_contain_text(re.compile("euler"))


def test_hovering_a_cell_shows_its_recipe(visit, compared, address):
    page = visit(address(compared))
    cell = page.locator("#grid [data-cell]").nth(2)

    cell.hover()

    expect(page.locator("#details")).to_have_attribute("data-cell", cell.get_attribute("data-cell"))
