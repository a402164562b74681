from pathlib import Path

import pytest
from PIL import Image, ImageFont

from batchgen.compare import sheet
from batchgen.compare.layout import Page, Shown
from batchgen.compare.sheet import wrap, write_sheets


def page_of(folder: Path, *, rows: int, columns: int, size=(64, 64), missing=()) -> Page:
    cells = []
    for row in range(rows):
        line = []
        for column in range(columns):
            path = folder / f"{row}-{column}.png"
            if (row, column) not in missing:
                Image.new("RGB", size, colour_of(row, column)).save(path)
            line.append(Shown(coordinates={}, picture=None if (row, column) in missing else path))
        cells.append(tuple(line))
    return Page(
        title="a red circle",
        x="steps",
        y="sampler",
        columns=tuple(str(number) for number in range(columns)),
        rows=tuple(f"sampler {number}" for number in range(rows)),
        cells=tuple(cells),
    )


def colour_of(row: int, column: int) -> tuple[int, int, int]:
    return (40 * row + 10, 40 * column + 10, 99)


def places_of(picture: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int]:
    """The first pixel of that colour, column and row."""
    width = picture.width
    index = list(picture.get_flattened_data()).index(colour)
    return index % width, index // width


def test_rows_go_down_and_columns_go_right(tmp_path):
    (path,) = write_sheets(page_of(tmp_path, rows=2, columns=3), tmp_path / "s.png", title="demo", footer="")

    with Image.open(path) as picture:
        corners = {(r, c): places_of(picture, colour_of(r, c)) for r in range(2) for c in range(3)}
    assert corners[0, 0][0] < corners[0, 1][0] < corners[0, 2][0]
    assert corners[0, 0][1] == corners[0, 2][1] < corners[1, 0][1]


def test_a_picture_still_to_be_made_is_a_pale_field(tmp_path):
    page = page_of(tmp_path, rows=1, columns=2, missing={(0, 1)})

    (path,) = write_sheets(page, tmp_path / "s.png", title="demo", footer="")

    with Image.open(path) as picture:
        assert places_of(picture, (238, 239, 241))[0] > places_of(picture, colour_of(0, 0))[0]


def test_small_pictures_are_enlarged_without_new_colours(tmp_path):
    checks = Image.new("RGB", (8, 8), (200, 10, 10))
    checks.putpixel((3, 3), (10, 10, 200))

    fitted = sheet._fit(checks, (160, 160))

    assert fitted.size == (160, 160)
    assert set(fitted.get_flattened_data()) == {(200, 10, 10), (10, 10, 200)}


def test_a_sheet_over_the_limit_goes_on_in_further_files_and_loses_no_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "MAX_PIXELS", 900_000)
    page = page_of(tmp_path, rows=6, columns=6)

    files = write_sheets(page, tmp_path / "s.png", title="demo", footer="")

    seen = set()
    for path in files:
        with Image.open(path) as picture:
            assert picture.width * picture.height <= 900_000
            seen |= set(picture.convert("RGB").get_flattened_data())
    assert len(files) > 1
    assert files[0].name == "s.png"
    assert files[1].name == "s-2.png"
    assert seen >= {colour_of(r, c) for r in range(6) for c in range(6)}


@pytest.mark.parametrize("text", ["", "word", "many words that need more than one line of it", "x" * 500, "  \n "])
def test_wrapping_keeps_every_letter_and_stays_within_the_width(text):
    font = ImageFont.load_default(13)

    lines = wrap(text, font, 120)

    assert "".join(lines).replace(" ", "") == "".join(text.split())
    assert all(font.getlength(line) <= 120 for line in lines)


def test_a_sheet_that_shows_the_same_already_is_not_drawn_again(tmp_path):
    page = page_of(tmp_path, rows=1, columns=2)
    (path,) = write_sheets(page, tmp_path / "s.png", title="demo", footer="")
    first = path.stat().st_ino

    write_sheets(page, path, title="demo", footer="")
    same = path.stat().st_ino
    write_sheets(page, path, title="demo", footer="another")

    assert same == first
    assert path.stat().st_ino != first
