"""The blind vote: nothing tells which is which until it is over, and what was chosen is what is exported."""

import json

import pytest
from playwright.sync_api import expect

from trials.chromium import until

LOADED = "document.querySelectorAll('#blind-dialog .stage-side[data-shown=original]').length === 2"
LEFT = """() => [...document.querySelectorAll('#blind-dialog .stage-side canvas')]
    .map(each => each.getBoundingClientRect()).sort((one, other) => one.left - other.left).slice(0, 1)
    .map(({x, y, width, height}) => ({x, y, width, height}))"""
"""Where the picture at the left is."""


@pytest.fixture
def facts(told, compared):
    return told(compared)


@pytest.fixture
def voting(visit, address, compared):
    """Begin a vote between two samplers."""
    page = visit(address(compared))
    page.click("#blind")
    page.select_option("#blind-axis", "sampler")
    page.select_option("#blind-first", label="euler")
    page.select_option("#blind-second", label="dpmpp_2m")
    page.click('#blind-dialog [data-blind="start"]')
    expect(page.locator("#blind-dialog")).to_have_attribute("data-phase", "vote")
    return page


def test_nothing_says_which_is_which_before_the_end(voting):
    text = voting.evaluate(
        """() => {
            const blind = document.querySelector('#blind-dialog');
            const told = ['alt', 'title', 'aria-label', 'aria-description', 'data-tip'];
            const every = [...blind.querySelectorAll('*')];
            const attributes = every.flatMap(each => told.map(name => each.getAttribute(name)));
            return blind.innerText + ' ' + attributes.join(' ');
        }"""
    )

    assert "euler" not in text
    assert "dpmpp" not in text


def votes(page, choices):
    keys = {"left": "ArrowLeft", "right": "ArrowRight", "tie": "ArrowDown", "skip": "ArrowUp"}
    for choice in choices:
        # Nobody votes on what is not there to be seen.
        until(page, LOADED)
        page.keyboard.press(keys[choice])


def exported(page, path):
    with page.expect_download() as coming:
        page.click('#blind-dialog [data-blind="export"]')
    coming.value.save_as(path)
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_the_votes_that_were_given_are_exported_with_the_pictures_they_were_about(voting, facts, tmp_path):
    votes(voting, ["left", "tie", "right", "left"])
    voting.click('#blind-dialog [data-blind="finish"]')
    expect(voting.locator("#blind-dialog")).to_have_attribute("data-phase", "tally")

    found = exported(voting, tmp_path / "votes.json")

    assert (found["batchgen"], found["format"], found["run"], found["axis"]) == ("votes", 1, "compared", "sampler")
    assert len(found["votes"]) == 4
    assert [vote["choice"] == "tie" for vote in found["votes"]] == [False, True, False, False]
    for vote in found["votes"]:
        one, other = (facts.coordinates(facts.data["id"].index(vote[side])) for side in ("a", "b"))
        assert {one.pop("sampler"), other.pop("sampler")} == {"euler", "dpmpp_2m"}
        assert one == other


def test_the_tally_counts_for_the_right_one(voting, facts, tmp_path):
    votes(voting, ["left", "right", "right", "tie", "left"])
    voting.click('#blind-dialog [data-blind="finish"]')
    expect(voting.locator("#blind-dialog")).to_have_attribute("data-phase", "tally")
    found = exported(voting, tmp_path / "votes.json")

    wins = {"euler": 0, "dpmpp_2m": 0}
    for vote in found["votes"]:
        if vote["choice"] != "tie":
            wins[facts.coordinates(facts.data["id"].index(vote[vote["choice"]]))["sampler"]] += 1
    rows = voting.locator("#blind-dialog [data-tally] tr[data-value]")
    shown = {row.get_attribute("data-value"): int(row.locator("td.wins").text_content()) for row in rows.all()}
    assert shown == wins
    assert sum(wins.values()) == 4


def test_a_vote_is_taken_back(voting, tmp_path):
    votes(voting, ["left", "left"])
    voting.keyboard.press("Backspace")
    voting.click('#blind-dialog [data-blind="finish"]')

    assert len(exported(voting, tmp_path / "votes.json")["votes"]) == 1


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_the_picture_chosen_is_the_one_that_was_on_that_side(voting, facts, compared, tmp_path, seen):
    """By what is on the screen: the picture seen at the left when the left was voted for."""
    shown = []
    for _ in range(3):
        until(voting, LOADED)
        (box,) = voting.evaluate(LEFT)
        shown.append(voting.screenshot(clip=box))
        voting.keyboard.press("ArrowLeft")
    voting.click('#blind-dialog [data-blind="finish"]')

    found = exported(voting, tmp_path / "votes.json")

    for vote, picture in zip(found["votes"], shown, strict=True):
        chosen, other = vote[vote["choice"]], vote["ba"["ab".index(vote["choice"])]]
        paths = [compared / "gallery" / facts.data["picture"][facts.data["id"].index(each)] for each in (chosen, other)]
        assert seen(picture).agrees(paths[0]) > 0.9
        assert seen(picture).agrees(paths[1]) < 0.5
