"""Pages that are too large for one file."""

from dataclasses import replace
from math import ceil
from pathlib import Path

import pytest

from batchgen.compare.cutting import Bounds, parts, wrapped
from batchgen.compare.fonts import Fonts
from batchgen.compare.layout import Page, Shown
from batchgen.compare.sheet import Drawing, Sheet, letters

BARE = letters(Fonts())
ROOMY = Bounds(pixels=64_000_000, side=16_383)


def places(count, **said):
    return [Shown(coordinates={"n": number}, picture=None, **said) for number in range(count)]


def table(rows, columns, name="{}", **said):
    shown = places(rows * columns, **said)
    return Page(
        title=name.format("title"),
        x="steps",
        y="sampler",
        columns=tuple(name.format(number) for number in range(columns)),
        rows=tuple(name.format(number) for number in range(rows)),
        cells=tuple(tuple(shown[row * columns : (row + 1) * columns]) for row in range(rows)),
    )


def size_of(page, cell, words="demo"):
    numbers = {"footer": words, "run": words, "number": "page 2 of 5"}
    drawing = Drawing(Sheet(path=Path("s.png"), page=page, cell=cell, title=words, **numbers), BARE)
    return drawing.width, drawing.height


def numbers_in(page):
    return [each.coordinates["n"] for row in page.cells for each in row if each]


@pytest.mark.parametrize("side", [1500, 4096, 16_383])
@pytest.mark.parametrize("pixels", [900_000, 4_000_000, 64_000_000])
@pytest.mark.parametrize("cell", [(16, 16), (160, 100), (64, 200)])
@pytest.mark.parametrize("words", ["{}", "a heron at dawn, and another one {0} " * 30], ids=["short", "long"])
def test_no_part_is_over_the_limits_and_none_loses_a_place(cell, pixels, side, words):
    page = table(70, 90, words, reason=words, state="failed", caption=words)

    found = list(parts(page, cell, BARE, Bounds(pixels=pixels, side=side)))

    for part in found[:3] + found[-3:]:
        width, height = size_of(part, cell, words)
        assert width * height <= pixels
        assert max(width, height) <= side
    assert sorted(number for part in found for number in numbers_in(part)) == list(range(70 * 90))
    assert all(len(part.rows) == len(part.cells) for part in found)


def test_a_limit_below_a_single_place_yields_places_one_by_one():
    found = list(parts(table(2, 2), (500, 500), BARE, Bounds(pixels=1000, side=100)))

    assert [numbers_in(part) for part in found] == [[0], [1], [2], [3]]


def test_parts_are_about_equal():
    found = [len(part.rows) for part in parts(table(100, 4), (100, 100), BARE, Bounds(pixels=6_000_000, side=9000))]

    assert len(found) > 1
    assert max(found) - min(found) <= len(found)


def test_so_many_columns_as_are_asked_for_stand_on_a_sheet_and_the_rest_on_the_next():
    found = list(parts(table(3, 8), (64, 64), BARE, ROOMY, 3))

    assert [part.columns for part in found] == [("0", "1", "2"), ("3", "4", "5"), ("6", "7")]
    assert all(part.rows == ("0", "1", "2") for part in found)
    assert numbers_in(found[1]) == [3, 4, 5, 11, 12, 13, 19, 20, 21]


def test_more_columns_than_there_are_change_nothing():
    page = table(3, 8)

    assert list(parts(page, (64, 64), BARE, ROOMY, 100)) == [page]


def test_two_thousand_places_are_one_sheet_or_several_as_they_are_small_or_large():
    page = table(40, 50)

    assert len(list(parts(page, (48, 48), BARE, ROOMY))) == 1
    assert len(list(parts(page, (512, 512), BARE, ROOMY))) == 10


@pytest.mark.parametrize("count", [1, 2, 3, 10, 97, 500])
@pytest.mark.parametrize("cell", [(64, 64), (64, 200), (200, 64)])
def test_without_a_word_a_contact_sheet_is_about_as_wide_as_high(count, cell):
    page = wrapped(places(count, caption="euler"), cell, BARE, ROOMY)

    width, height = len(page.columns) * (cell[0] + 30), len(page.rows) * (cell[1] + 35)
    assert numbers_in(page) == list(range(count))
    assert count < 10 or 0.5 < width / height < 2


def test_so_many_pictures_as_are_asked_for_stand_in_a_row():
    page = wrapped(places(8), (64, 64), BARE, ROOMY, 3)

    assert [[each.coordinates["n"] for each in row] for row in page.cells] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert len(wrapped(places(2), (64, 64), BARE, ROOMY, 3).columns) == 2


@pytest.mark.parametrize("asked", [None, 5000])
def test_a_contact_sheet_is_cut_between_rows_alone(asked):
    bounds = Bounds(pixels=4_000_000, side=4096)
    page = wrapped(places(3000, caption="euler"), (100, 100), BARE, bounds, asked)

    found = list(parts(page, (100, 100), BARE, bounds))

    assert len(found) > 1
    assert [number for part in found for number in numbers_in(part)] == list(range(3000))
    assert {len(part.columns) for part in found} == {len(page.columns)}


def test_a_limit_is_used_well():
    found = list(parts(replace(table(400, 400), title="", y=None), (50, 50), BARE, ROOMY))

    area = sum(width * height for width, height in (size_of(part, (50, 50)) for part in found))
    assert len(found) <= ceil(area / ROOMY.pixels) + 2
