"""What is drawn on a sheet, and where."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batchgen.compare import sheet
from batchgen.compare.fonts import Fonts
from batchgen.compare.layout import Page, Shown, in_rows
from batchgen.compare.printing import shows
from batchgen.compare.sheet import Drawing, Sheet, cell_of, fit, letters, write

MISSING, FAILED, REJECTED = (238, 239, 241), (253, 232, 229), (252, 241, 214)
BARE = letters(Fonts())


def colour_of(row: int, column: int) -> tuple[int, int, int]:
    return (40 * row + 10, 40 * column + 10, 99)


def page_of(folder: Path, *, rows: int, columns: int, size=(64, 64), missing=()) -> Page:
    cells = []
    for row in range(rows):
        line = []
        for column in range(columns):
            path = folder / f"{row}-{column}.png"
            if (row, column) not in missing:
                Image.new("RGB", size, colour_of(row, column)).save(path)
            picture = None if (row, column) in missing else path
            line.append(Shown(coordinates={}, picture=picture, width=size[0], height=size[1]))
        cells.append(tuple(line))
    return Page(
        title="a red circle",
        x="steps",
        y="sampler",
        columns=tuple(str(number) for number in range(columns)),
        rows=tuple(f"sampler {number}" for number in range(rows)),
        cells=tuple(cells),
    )


@pytest.fixture
def of(tmp_path):
    """Return a sheet of a page, 64 pixels a place."""

    def of(page, **said) -> Sheet:
        return Sheet(**{"path": tmp_path / "s.png", "page": page, "cell": (64, 64), "title": "demo"} | said)

    return of


@pytest.fixture
def only():
    """Return the sheet of one place about which something is said."""

    def only(cell=(160, 160), **said):
        shown = None if said.pop("excluded", False) else Shown(coordinates={}, picture=None, **said)
        page = Page(title="", x="", y="", columns=("",), rows=("",), cells=((shown,),))
        return drawn(Sheet(path=Path("s.png"), page=page, cell=cell, title="demo"))

    return only


def drawn(a_sheet, in_letters=BARE):
    return np.asarray(Drawing(a_sheet, in_letters).with_pictures(sheet.picture_of))


def where(picture, colour):
    """The first row and column with that colour; None if nothing has it."""
    found = np.argwhere((picture == colour).all(axis=-1))
    return tuple(found[0]) if len(found) else None


def test_rows_go_down_and_columns_go_right(tmp_path, of):
    picture = drawn(of(page_of(tmp_path, rows=2, columns=3)))

    corners = {(r, c): where(picture, colour_of(r, c)) for r in range(2) for c in range(3)}
    assert corners[0, 0][1] < corners[0, 1][1] < corners[0, 2][1]
    assert corners[0, 0][0] == corners[0, 2][0] < corners[1, 0][0]


def test_a_picture_still_to_be_made_is_a_pale_field(tmp_path, of):
    picture = drawn(of(page_of(tmp_path, rows=1, columns=2, missing={(0, 1)})))

    assert where(picture, MISSING)[1] > where(picture, colour_of(0, 0))[1]


def test_a_place_without_a_picture_says_what_became_of_it(only):
    pictures = {
        "missing": only(),
        "gone": only(state="missing", reason="its file is gone"),
        "failed": only(state="failed"),
        "failed, with a reason": only(state="failed", reason="out of memory"),
        "rejected": only(state="rejected"),
        "unreadable": only(state="unreadable"),
        "excluded": only(excluded=True),
    }

    assert len({picture.tobytes() for picture in pictures.values()}) == len(pictures)
    assert all(where(pictures[name], FAILED) for name in ("failed", "failed, with a reason", "unreadable"))
    assert where(pictures["rejected"], REJECTED)
    assert where(pictures["missing"], MISSING)
    assert not any(where(pictures["excluded"], colour) for colour in (MISSING, FAILED, REJECTED))


def test_a_long_reason_stays_within_its_place(only):
    picture = only(state="failed", reason="out of memory " * 100)

    field = np.argwhere((picture == FAILED).all(axis=-1))
    (top, left), (bottom, right) = field.min(axis=0), field.max(axis=0)
    assert (bottom - top, right - left) == (159, 159)
    outside = picture.copy()
    outside[top : bottom + 1, left : right + 1] = 255
    plain = only(state="failed").copy()
    plain[top : bottom + 1, left : right + 1] = 255
    assert np.array_equal(outside, plain)


def test_a_place_too_small_for_words_has_a_sign_that_the_foot_explains(only):
    small, missing = only((16, 16), state="failed"), only((16, 16))

    field = np.argwhere((small == FAILED).all(axis=-1))
    inside = small[slice(*(field[:, 0].min(), field[:, 0].max())), slice(*(field[:, 1].min(), field[:, 1].max()))]
    assert (inside != FAILED).any()
    beside = np.delete(small[slice(*(field[:, 0].min(), field[:, 0].max()))], np.unique(field[:, 1]), axis=1)
    assert (beside == 255).all()
    below = slice(field[:, 0].max() + 8, None)
    assert (small[below] != 255).any()
    assert not np.array_equal(small[below], missing[below])


@pytest.mark.parametrize("torn", [b"", b"\x89PNG\r\n\x1a\n", b"no picture"])
def test_a_torn_picture_costs_the_others_nothing(tmp_path, of, torn):
    page = page_of(tmp_path, rows=1, columns=2)
    (tmp_path / "0-1.png").write_bytes(torn)

    picture = drawn(of(page))

    assert where(picture, colour_of(0, 0))
    assert where(picture, FAILED)


def test_captions_stand_beneath_their_pictures(tmp_path, of):
    shown = [each for row in page_of(tmp_path, rows=1, columns=3).cells for each in row]
    captions = [replace(each, caption="euler · steps 12") for each in shown]

    plain, with_captions = (drawn(of(in_rows(each, 3))) for each in (shown, captions))

    (top, left), (_, after) = where(with_captions, colour_of(0, 0)), where(with_captions, colour_of(0, 1))
    assert with_captions.shape[0] > plain.shape[0]
    assert (with_captions[top + 66 : top + 100, left:after] != 255).any()


def test_names_too_long_for_narrow_columns_stand_upright(tmp_path, of):
    page = page_of(tmp_path, rows=1, columns=3, size=(20, 20))
    long = replace(page, columns=("dpmpp_2m_sde", "euler_ancestral", "ddim"))

    narrow, wide = (drawn(of(long, cell=(cell, cell))) for cell in (20, 100))
    numbers = drawn(of(page, cell=(20, 20)))

    def top(picture):
        return where(picture, colour_of(0, 0))[0]

    assert top(narrow) > top(wide)
    assert top(narrow) > top(numbers)


def test_columns_are_as_wide_as_their_pictures_however_long_their_names(tmp_path, of):
    page = page_of(tmp_path, rows=2, columns=3)
    long = replace(page, columns=("a heron " * 100,) * 3, rows=("a heron " * 100,) * 2)

    short, other = drawn(of(page)), drawn(of(long))

    def apart(picture):
        return where(picture, colour_of(0, 1))[1] - where(picture, colour_of(0, 0))[1]

    assert apart(short) == apart(other)


@pytest.mark.parametrize("fonts", [Fonts(), None], ids=["no fonts", "the fonts of this machine"])
def test_hostile_prompts_are_titles_labels_captions_and_reasons(tmp_path, of, hostile_prompts, fonts):
    for prompt in hostile_prompts:
        shown = [Shown(coordinates={}, picture=None, state="failed", reason=prompt, caption=prompt)] * 2
        page = replace(in_rows(shown, 2), title=prompt, x=prompt, y=prompt, columns=(prompt, "b"), rows=(prompt,))

        picture = drawn(of(page, title=prompt, footer=prompt, run=prompt, number="page 2 of 5"), letters(fonts))

        assert picture.shape[1] < 470
        assert picture.shape[0] < 700


def test_small_pictures_are_enlarged_without_new_colours():
    checks = Image.new("RGB", (8, 8), (200, 10, 10))
    checks.putpixel((3, 3), (10, 10, 200))

    fitted = sheet.resized(checks, fit(checks.size, (170, 180)))

    assert fitted.size == (168, 168)
    assert set(fitted.get_flattened_data()) == {(200, 10, 10), (10, 10, 200)}


@pytest.mark.parametrize(
    ("sizes", "asked", "cell"),
    [
        ([(64, 64)], None, (192, 192)),
        ([(64, 96)], None, (128, 192)),
        ([(1024, 512)], None, (512, 256)),
        ([(1024, 512), (256, 768), (0, 0)], None, (512, 384)),
        ([(300, 200)], None, (300, 200)),
        ([], None, (160, 160)),
        ([(1024, 512)], 100, (100, 50)),
        ([(64, 64)], 2048, (2048, 2048)),
        ([(64, 32)], 200, (192, 96)),
        ([(64, 64)], 100, (64, 64)),
        ([(2048, 1)], 16, (16, 1)),
    ],
)
def test_a_place_is_as_large_as_is_asked_or_else_as_suits_the_pictures(sizes, asked, cell):
    assert cell_of(sizes, asked) == cell


def test_a_sheet_that_shows_the_same_already_is_not_drawn_again(tmp_path, of):
    page = page_of(tmp_path, rows=1, columns=2)
    path = tmp_path / "s.png"
    write(of(page))
    first = path.stat().st_ino

    write(of(page))
    same = path.stat().st_ino
    write(of(page, footer="another"))

    assert same == first
    assert path.stat().st_ino != first


@pytest.mark.parametrize(
    "other", [{"title": "b"}, {"footer": "b"}, {"run": "b"}, {"number": "page 1 of 2"}, {"cell": (65, 64)}]
)
def test_every_word_on_a_sheet_tells_it_from_another(tmp_path, of, other):
    page = page_of(tmp_path, rows=1, columns=1)

    assert of(page).imprint.said != of(page, **other).imprint.said


@pytest.mark.parametrize(
    "other",
    [{"state": "failed"}, {"reason": "b"}, {"caption": "b"}, {"picture": Path("b.png")}, {"second": 1.0}],
)
def test_everything_about_a_place_tells_a_sheet_from_another(of, other):
    def said(**about):
        shown = Shown(**{"coordinates": {}, "picture": None} | about)
        return of(in_rows([shown], 1)).imprint.said

    assert said() != said(**other)


def test_a_sheet_says_in_its_file_what_it_is(tmp_path, of):
    page = page_of(tmp_path, rows=2, columns=2)

    write(of(page, footer="demo_shapes · 64x64", run="herons", number="page 2 of 5"))

    assert shows(tmp_path / "s.png")
    with Image.open(tmp_path / "s.png") as read:
        assert read.info["Title"] == "demo: a red circle"
        assert read.info["Description"].splitlines() == [
            "run: herons",
            "demo_shapes · 64x64",
            "columns: steps = 0, 1",
            "rows: sampler = sampler 0, sampler 1",
            "page 2 of 5",
        ]
