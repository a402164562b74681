"""Sheets of clips: what plays where and when."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batchgen.compare import layout
from batchgen.compare.clips import in_rows, remove_other_videos, shown_by, write
from batchgen.compare.layout import Page, Shown
from batchgen.compare.printing import shows
from batchgen.compare.sheet import Sheet
from batchgen.job import recipe_id
from batchgen.store import clips, ffmpeg, media
from batchgen.store.clips import Keeping
from batchgen.store.film import Film

COLOURS = [[(200, 40, 40), (40, 160, 60)], [(60, 60, 220), (200, 180, 30)]]
"""Of the clips by row and column, at their ends; at their beginning they are black."""


MEASURES = ("width", "height", "frames", "fps")


def clip(stem: Path, colour, *, frames=9, fps=8.0, size=(64, 48), container="mp4"):
    """A clip that grows from black to a colour."""
    steps = np.linspace(0, 1, frames)[:, None, None, None]
    pixels = (steps * np.array(colour)).astype(np.uint8) * np.ones((1, size[1], size[0], 1), np.uint8)

    def told(output):
        recipe = {"seed": str(stem)}
        return json.dumps({"schema": 1, "id": recipe_id(recipe), "recipe": recipe, "output": dict(output)})

    return clips.write(pixels, fps, Keeping(container=container), stem, told).file


def page_of(paths) -> Page:
    return Page(
        title="a heron",
        x="steps",
        y="sampler",
        columns=tuple(str(number) for number in range(len(paths[0]))),
        rows=tuple(f"sampler {number}" for number in range(len(paths))),
        cells=tuple(tuple(path and shown_of(path) for path in row) for row in paths),
    )


def shown_of(path) -> Shown:
    """What a run's results tell of a clip."""
    output = media.record_in(path)["output"]
    return Shown(coordinates={}, picture=path, state="made", **{name: output[name] for name in MEASURES})


def sheets_of(page, target, **said):
    """Draw a page as a video and its frames as a picture, and return the files."""
    words = {"cell": (256, 192), "title": "demo"} | said
    both = [Sheet(path=target, page=page, **words)]
    both += [Sheet(path=target.with_suffix(".png"), page=in_rows(page), **words)]
    for each in both:
        write(each)
    return [each.path for each in both]


@pytest.fixture
def page(tmp_path):
    (tmp_path / "clips").mkdir()
    return page_of([[clip(tmp_path / "clips" / f"{r}{c}", COLOURS[r][c]) for c in range(2)] for r in range(2)])


def video(path, frames=9, fps=8.0):
    import re
    import subprocess

    said = subprocess.run([ffmpeg.program(), "-i", path], capture_output=True, text=True, check=False).stderr
    width, height = map(int, re.search(r"Video: .* (\d+)x(\d+)[ ,]", said).groups())
    film = Film(frames=frames, width=width, height=height, fps=fps)
    return np.stack(list(ffmpeg.frames(path, film, ffmpeg.H264)))


def place(picture, colour, *, near=25):
    """The middle of what has that colour, row and column; None if nothing has."""
    found = np.abs(picture.astype(int) - colour).max(axis=-1) < near
    return np.argwhere(found).mean(axis=0) if found.sum() > 500 else None


def test_clips_play_side_by_side_each_in_its_place(tmp_path, page):
    path, _ = sheets_of(page, tmp_path / "s.mp4")

    frames = video(path)

    places = [[place(frames[-1], COLOURS[r][c]) for c in range(2)] for r in range(2)]
    assert places[0][0][1] < places[0][1][1]
    assert places[0][0][0] < places[1][0][0]
    assert abs(places[0][0][0] - places[0][1][0]) < 3
    assert place(frames[0], (0, 0, 0)) is not None
    assert all(place(frames[0], colour) is None for row in COLOURS for colour in row)


def test_a_row_of_frames_goes_from_the_first_to_the_last(tmp_path, page):
    from PIL import Image

    _, path = sheets_of(page, tmp_path / "s.mp4")

    with Image.open(path) as sheet:
        picture = np.asarray(sheet.convert("RGB"))
    ends = [place(picture, COLOURS[r][c]) for r, c in ((0, 0), (0, 1), (1, 0), (1, 1))]
    halves = [place(picture, np.array(COLOURS[r][c]) // 2) for r, c in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert all(half[1] < end[1] for half, end in zip(halves, ends, strict=True))
    assert [end[0] for end in ends] == sorted(end[0] for end in ends)


def test_a_clip_that_is_over_stays_at_its_end_while_others_go_on(tmp_path):
    short = clip(tmp_path / "a", (200, 40, 40), frames=5)
    long = clip(tmp_path / "b", (60, 60, 220), frames=17)

    path, _ = sheets_of(page_of([[short, long]]), tmp_path / "s.mp4")

    frames = video(path, frames=17)
    assert place(frames[6], (200, 40, 40)) is not None
    assert place(frames[6], (60, 60, 220)) is None
    assert place(frames[16], (60, 60, 220)) is not None


def test_clips_of_two_speeds_play_at_theirs(tmp_path):
    slow = clip(tmp_path / "a", (200, 40, 40), frames=5, fps=4.0)
    fast = clip(tmp_path / "b", (60, 60, 220), frames=10, fps=16.0)

    path, _ = sheets_of(page_of([[slow, fast]]), tmp_path / "s.mp4")

    frames = video(path, frames=20, fps=16.0)
    assert place(frames[9], (60, 60, 220)) is not None
    assert place(frames[9], (200, 40, 40)) is None
    assert place(frames[16], (200, 40, 40)) is not None


@pytest.mark.parametrize("container", ["webm", "gif", "webp", "frames"])
def test_any_container_is_shown(tmp_path, container):
    path = clip(tmp_path / "a", (200, 40, 40), container=container)

    sheet, rows = sheets_of(page_of([[path]]), tmp_path / "s.mp4")

    assert place(video(sheet)[-1], (200, 40, 40)) is not None
    assert rows.exists()


def test_what_is_missing_excluded_or_torn_has_its_pale_field_and_costs_the_others_nothing(tmp_path):
    torn = clip(tmp_path / "torn", (40, 160, 60))
    whole = clip(tmp_path / "whole", (200, 40, 40))
    page = page_of([[whole, torn, None]])
    page = replace(page, columns=(*page.columns, "3"), cells=((*page.cells[0], Shown(coordinates={}, picture=None)),))
    torn.write_bytes(torn.read_bytes()[:-200])

    path, rows = sheets_of(page, tmp_path / "s.mp4")

    frames = video(path)
    assert place(frames[-1], (200, 40, 40)) is not None
    assert place(frames[-1], (238, 239, 241)) is not None
    assert place(frames[-1], (253, 232, 229), near=4) is not None
    assert rows.exists()


@pytest.mark.parametrize(
    "lie",
    [{"frames": 10**9}, {"frames": 3}, {"frames": 900}, {"width": 0}, {"width": 10**6}, {"fps": 0.0}, {"fps": 1e9}],
)
def test_a_record_that_lies_about_its_clip_costs_the_others_nothing(tmp_path, lie):
    honest, liar = (shown_of(clip(tmp_path / name, COLOURS[0][n])) for n, name in enumerate("ab"))
    page = replace(page_of([[None, None]]), cells=((honest, replace(liar, **lie)),))

    sheet = Sheet(path=tmp_path / "s.mp4", page=page, cell=(64, 48), title="demo")
    write(sheet)

    assert shown_by(sheet.path) == sheet.imprint.said


def test_a_sheet_that_shows_the_same_already_is_not_made_again(tmp_path, page):
    files = sheets_of(page, tmp_path / "s.mp4")
    before = [path.stat().st_ino for path in files]

    sheets_of(page, tmp_path / "s.mp4")
    same = [path.stat().st_ino for path in files]
    sheets_of(page, tmp_path / "s.mp4", footer="another")

    assert same == before
    assert not {*before} & {path.stat().st_ino for path in files}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips", "s.mp4", "s.png"]


def test_only_our_own_videos_are_known_as_sheets(tmp_path, page):
    mine, rows = sheets_of(page, tmp_path / "s.mp4")
    (tmp_path / "link.mp4").symlink_to(mine)
    (tmp_path / "junk.mp4").write_bytes(b"x" * 100)
    theirs = clip(tmp_path / "clip", (1, 2, 3))

    assert shown_by(mine)
    assert shows(rows)
    assert shown_by(tmp_path / "link.mp4") is None
    assert shown_by(tmp_path / "junk.mp4") is None
    assert shown_by(tmp_path / "none.mp4") is None
    assert shown_by(theirs) is None

    remove_other_videos(tmp_path, [])

    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == ["clip.mp4", "junk.mp4", "link.mp4"]


def test_a_video_says_in_its_comment_what_it_is(tmp_path, page):
    path, _ = sheets_of(page, tmp_path / "s.mp4", title='a = b; c\\d # "e"', footer="demo", run="herons")

    lines = ffmpeg.text_in(path, ffmpeg.H264).splitlines()

    assert lines[0] == f"batchgen-sheet {shown_by(path)}"
    assert lines[1:4] == ['a = b; c\\d # "e": a heron', "run: herons", "demo"]


def test_without_a_grid_a_row_of_frames_is_called_as_its_clip_is(page):
    shown = [replace(each, caption=f"seed {n}") for n, each in enumerate(each for row in page.cells for each in row)]

    rows = in_rows(layout.in_rows(shown, 3))

    assert rows.rows == ("seed 0", "seed 1", "seed 2", "seed 3")
    assert not any(each.caption for row in rows.cells for each in row)
    assert [each.second for each in rows.cells[0]] == sorted({each.second for each in rows.cells[0]})
