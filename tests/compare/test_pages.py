"""The sheets of a run, as files in its folder."""

import re
import subprocess
from dataclasses import replace
from itertools import product
from json import dumps

import numpy as np
import pytest
from PIL import Image

from batchgen.compare import clips
from batchgen.compare.layout import Compare
from batchgen.compare.pages import MAX_PAGES, write_pages
from batchgen.compare.printing import Printing, shows
from batchgen.compare.results import Result, Results
from batchgen.job import recipe_id
from batchgen.store.clips import Keeping
from batchgen.store.clips import write as write_clip

AXES = {"prompt": ("a red circle", "a star"), "sampler": ("heun", "ddim"), "steps": (20, 4, 8), "seed": (0,)}
RECIPE = {"model": "demo_shapes", "schedule": "karras", "guidance_scale": 6.0, "seed": 0}


@pytest.fixture
def results(tmp_path):
    """Return what came of a run of small pictures, each of a colour of its own."""

    def results(axes=AXES, *, size=(64, 64), absent=None, prompts=None):
        places = []
        for number, values in enumerate(product(*axes.values())):
            coordinates = dict(zip(axes, values, strict=True))
            prompt = (prompts or {}).get(coordinates["prompt"], coordinates["prompt"])
            said = {"coordinates": coordinates, "id": f"{number:064x}", "prompt": prompt}
            if absent and number in absent:
                places.append(Result(state=absent[number], reason="", **said))
                continue
            path = tmp_path / "pictures" / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", size, colour_of(number)).save(path)
            recipe = RECIPE | {name: coordinates[name] for name in ("sampler", "steps") if name in coordinates}
            places.append(Result(state="made", picture=path, recipe=recipe, width=size[0], height=size[1], **said))
        return Results(name="evening", axes=axes, places=tuple(places), environments={})

    return results


@pytest.fixture
def sheets(tmp_path):
    """Return the sheets of results, in tmp_path/sheets."""

    def sheets(of, sides=None, **printing):
        return write_pages(of, sides, tmp_path / "sheets", title="demo", printing=Printing(**printing))

    return sheets


def colour_of(number):
    return (7 * number % 256, 80, number % 256)


def colours_in(path):
    """The numbers of the pictures on a sheet, from top to bottom and left to right."""
    with Image.open(path) as read:
        pixels = np.asarray(read.convert("RGB")).astype(np.uint32)
    packed = (pixels << np.array([16, 8, 0], np.uint32)).sum(axis=-1).ravel()
    colours, firsts, counts = np.unique(packed, return_index=True, return_counts=True)
    known = {(red << 16) + (green << 8) + blue: n for n, (red, green, blue) in enumerate(map(colour_of, range(256)))}
    found = {
        known[colour]: first
        for colour, first, count in zip(colours.tolist(), firsts, counts, strict=True)
        if colour in known and count > 200
    }
    return sorted(found, key=found.get)


def told(path):
    with Image.open(path) as read:
        return read.info["Description"].splitlines()


def test_a_run_has_a_sheet_for_each_value_of_the_page_axis_in_the_order_of_the_manifest(results, sheets):
    files = sheets(results(), Compare(x="steps", y="sampler", page="prompt"))

    assert [path.name for path in files] == ["a-red-circle.png", "a-star.png"]
    assert [colours_in(path) for path in files] == [list(range(6)), list(range(6, 12))]
    assert "columns: steps = 20, 4, 8" in told(files[0])
    assert "rows: sampler = heun, ddim" in told(files[0])


def test_sides_that_nobody_said_are_chosen(results, sheets):
    chosen = sheets(results())
    before = [path.read_bytes() for path in chosen]

    said = sheets(results(), Compare(x="steps", y="sampler", page="prompt"))

    assert [path.read_bytes() for path in said] == before


def test_a_sheet_tells_run_and_model_what_all_have_in_common_and_which_of_how_many_it_is(results, sheets):
    first, second = (told(path) for path in sheets(results()))

    assert first[:2] == ["run: evening", "demo_shapes · 64x64 · schedule karras · guidance_scale 6 · seed 0"]
    assert (first[-1], second[-1]) == ("page 1 of 2", "page 2 of 2")


def test_what_an_axis_varies_is_not_in_common_however_few_pictures_there_are(results, sheets):
    (path,) = sheets(results({**AXES, "prompt": ("a",)}, absent=dict.fromkeys(range(1, 6), "missing")))

    assert "steps" not in told(path)[1]


def test_one_picture_is_one_sheet_without_a_number(results, sheets):
    (path,) = sheets(results({"prompt": ("a",), "seed": (0,)}))

    assert path.name == "demo.png"
    assert colours_in(path) == [0]
    assert not any("page" in line for line in told(path))


def test_two_thousand_places_are_on_sheets_of_at_most_64_megapixels(results, sheets):
    axes = {"prompt": ("a",), "sampler": tuple(f"s{n}" for n in range(40)), "steps": tuple(range(50)), "seed": (0,)}
    found = results(axes, absent=dict.fromkeys(range(1, 2000), "missing"))

    small, large = sheets(found, cell=40), sheets(found, cell=200)

    assert (len(small), len(large)) == (1, 2)
    for path in large:
        with Image.open(path) as read:
            assert read.width * read.height <= 64_000_000
            assert max(read.size) <= 16_383


def test_half_a_run_is_shown_and_redrawn_as_its_pictures_come(results, sheets):
    half = {number: ("missing", "failed", "rejected")[number % 3] for number in range(0, 12, 2)}

    before = sheets(results(absent=half))
    first = [colours_in(path) for path in before]
    after = [colours_in(path) for path in sheets(results())]

    assert first == [[1, 3, 5], [7, 9, 11]]
    assert after == [list(range(6)), list(range(6, 12))]


def test_a_rejected_picture_is_not_shown_though_it_may_be_there(results, sheets):
    found = results({"prompt": ("a",), "seed": (0, 1)})
    rejected = replace(found.places[1], state="rejected")

    (path,) = sheets(replace(found, places=(found.places[0], rejected)))

    assert colours_in(path) == [0]


def test_an_unreadable_record_hides_no_picture(results, sheets):
    found = results({"prompt": ("a",), "seed": (0, 1)})
    dumb = replace(found.places[1], state="unreadable", reason="no record", recipe={}, width=0, height=0)

    (path,) = sheets(replace(found, places=(found.places[0], dumb)))

    assert colours_in(path) == [0, 1]


def test_where_nothing_is_made_there_are_no_sheets(results, sheets, tmp_path):
    assert sheets(results(absent=dict.fromkeys(range(12), "missing"))) == []
    assert not (tmp_path / "sheets").exists()


def test_without_a_grid_the_pictures_follow_one_another_with_their_values_beneath(results, sheets):
    (path,) = sheets(results(), Compare(x="steps"), grid=False, columns=5)

    assert path.name == "demo.png"
    assert colours_in(path) == list(range(12))
    with Image.open(path) as read:
        assert 5 * 192 < read.width < 6 * 192


def test_without_a_grid_and_without_a_word_a_sheet_is_about_square(results, sheets):
    (path,) = sheets(results({"prompt": ("a",), "seed": tuple(range(100))}), grid=False)

    with Image.open(path) as read:
        assert 0.7 < read.width / read.height < 1.4


def test_so_many_columns_as_are_asked_for_are_on_a_sheet(results, sheets):
    files = sheets(results({**AXES, "prompt": ("a",)}), Compare(x="steps", y="sampler"), columns=2)

    assert [path.name for path in files] == ["demo.png", "demo-2.png"]
    assert [colours_in(path) for path in files] == [[0, 1, 3, 4], [2, 5]]
    assert told(files[1])[-1] == "page 2 of 2"


@pytest.mark.parametrize(("asked", "side"), [(16, 16), (64, 64), (100, 64), (200, 192), (512, 512)])
def test_a_place_is_as_large_as_is_asked(results, sheets, asked, side):
    (path,) = sheets(results({"prompt": ("a",), "seed": (0,)}), cell=asked)

    with Image.open(path) as read:
        near = (np.asarray(read.convert("RGB")) == colour_of(0)).all(axis=-1)
    assert near.sum() == side * side


@pytest.mark.parametrize(("kind", "suffix"), [("png", ".png"), ("jpeg", ".jpg"), ("webp", ".webp")])
def test_in_every_format_a_sheet_is_known_and_drawn_once(results, sheets, kind, suffix):
    files = sheets(results(), format=kind)
    before = [path.stat().st_ino for path in files]

    again = sheets(results(), format=kind)

    assert {path.suffix for path in files} == {suffix}
    assert all(shows(path) for path in files)
    assert [path.stat().st_ino for path in again] == before


def test_another_format_replaces_the_sheets_of_the_first_and_nothing_else(results, sheets, tmp_path):
    sheets(results(), format="png")
    for name in ("mine.png", "chart.webp", "mine.jpg"):
        Image.new("RGB", (9, 9)).save(tmp_path / "sheets" / name)

    sheets(results(), format="webp")
    webp = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    sheets(results(), format="jpeg")
    jpeg = sorted(path.name for path in (tmp_path / "sheets").iterdir())

    assert webp == ["a-red-circle.webp", "a-star.webp", "chart.webp", "mine.jpg", "mine.png"]
    assert jpeg == ["a-red-circle.jpg", "a-star.jpg", "chart.webp", "mine.jpg", "mine.png"]


def test_sheets_that_are_no_longer_asked_for_go(results, sheets, tmp_path):
    sheets(results(), Compare(x="steps", y="sampler", page="prompt"))

    sheets(results(), Compare(x="steps", y="prompt", page="sampler"))

    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == ["ddim.png", "heun.png"]


def test_prompts_that_make_the_same_name_have_a_sheet_each(results, sheets):
    prompts = ("a star", "a star!", "A Star", "a star-2", "???", "a-star-2")

    files = sheets(results({**AXES, "prompt": prompts, "steps": (1, 2)}), columns=1)

    assert len({path.name.casefold() for path in files}) == 12
    assert [colours_in(path)[0] for path in files] == [n for p in range(6) for n in (4 * p, 4 * p + 1)]


def test_a_prompt_with_a_name_is_shown_in_full(results, sheets):
    files = sheets(results(prompts={"a star": "a star, " * 200}))

    with Image.open(files[1]) as read:
        assert read.info["Title"].startswith("demo: a star: a star, a star, ")


def test_more_pages_than_anybody_looks_through_are_not_drawn(results, sheets):
    axes = {"prompt": tuple(f"p{n}" for n in range(MAX_PAGES + 1)), "sampler": ("a", "b"), "seed": (0,)}
    found = results(axes, absent=dict.fromkeys(range(1, 2 * len(axes["prompt"])), "missing"))

    assert sheets(found) == []


def test_hostile_prompts_are_pages_rows_columns_and_captions(results, sheets, hostile_prompts):
    axes = {"prompt": hostile_prompts, "sampler": ("euler",), "seed": (0,)}

    for sides, grid, count in (
        (Compare(page="prompt"), True, 45),
        (Compare(y="prompt"), True, 1),
        (Compare(x="prompt"), True, 1),
        (None, False, 1),
    ):
        assert len(sheets(results(axes), sides, grid=grid)) == count


@pytest.fixture
def moving(tmp_path, results):
    """What came of a run of four clips."""
    found = results({"prompt": ("a",), "sampler": ("euler", "ddim"), "seed": (0, 1)})
    places = []
    for number, each in enumerate(found.places):
        frames = np.linspace(0, 1, 9)[:, None, None, None] * np.array(colour_of(50 * number + 20))
        pixels = frames.astype(np.uint8) * np.ones((1, 48, 64, 1), np.uint8)
        recipe = {"seed": number}
        record = {"schema": 1, "id": recipe_id(recipe), "recipe": recipe}
        stem = tmp_path / str(number)
        file = write_clip(
            pixels, 8.0, Keeping(), stem, lambda said, record=record: dumps(record | {"output": dict(said)})
        ).file
        places.append(replace(each, picture=file, width=64, height=48, frames=9, fps=8.0))
    return replace(found, places=tuple(places))


@pytest.mark.parametrize(("kind", "suffix"), [("png", ".png"), ("webp", ".webp")])
def test_clips_are_a_video_and_their_frames_in_rows(moving, sheets, kind, suffix):
    files = sheets(moving, format=kind)

    assert [path.name for path in files] == ["a.mp4", f"a{suffix}"]
    assert clips.shown_by(files[0])
    assert shows(files[1])
    with Image.open(files[1]) as read:
        pixels = np.asarray(read.convert("RGB")).astype(int)
    assert (np.abs(pixels - (253, 232, 229)).max(axis=-1) > 2).all(), "a clip is unreadable"
    assert [np.abs(pixels - colour_of(50 * n + 20)).max(axis=-1).min() < 20 for n in range(4)] == [True] * 4


def test_a_video_over_its_limit_goes_on_in_another_and_is_numbered_apart(moving, sheets, monkeypatch):
    monkeypatch.setattr(clips, "MAX_PIXELS", 500_000)

    files = sheets(moving)

    assert [path.name for path in files] == ["a.mp4", "a-2.mp4", "a.png"]
    texts = [clips.ffmpeg.text_in(path, clips.H264) for path in files[:2]]
    assert [text.splitlines()[-1] for text in texts] == ["page 1 of 2", "page 2 of 2"]
    assert not any("page" in line for line in told(files[2]))


def test_videos_and_rows_of_a_run_that_has_clips_no_more_go(moving, results, sheets, tmp_path):
    sheets(moving)

    sheets(results({"prompt": ("a",), "sampler": ("euler", "ddim"), "seed": (0, 1)}), Compare(x="sampler"))

    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["demo.png"]


def test_a_single_clip_however_large_it_is_asked_for_can_be_played(moving, sheets):
    axes = {"prompt": ("a",), "sampler": ("euler",), "seed": (0,)}

    video, rows = sheets(replace(moving, axes=axes, places=moving.places[:1]), cell=2048)

    said = subprocess.run([clips.ffmpeg.program(), "-i", video], capture_output=True, text=True, check=False).stderr
    width, height = map(int, re.search(r"Video: .* (\d+)x(\d+)[ ,]", said).groups())
    assert 1024 < width < 1400
    assert 768 < height < 1100
    with Image.open(rows) as read:
        assert 9 * 1024 < read.width < 10 * 1024


def test_clips_without_a_grid_play_side_by_side(moving, sheets):
    files = sheets(moving, grid=False, columns=2, cell=100)

    assert [path.name for path in files] == ["demo.mp4", "demo.png"]
