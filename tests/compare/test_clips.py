"""Sheets of clips: what plays where and when."""

import json
from pathlib import Path

import numpy as np
import pytest

from batchgen.compare import clips as sheets
from batchgen.compare.clips import shown_by, write_clip_sheets
from batchgen.compare.layout import Page, Shown
from batchgen.compare.sheet import shows
from batchgen.job import recipe_id
from batchgen.store import clips, ffmpeg
from batchgen.store.clips import Keeping
from batchgen.store.film import Film

COLOURS = [[(200, 40, 40), (40, 160, 60)], [(60, 60, 220), (200, 180, 30)]]
"""Of the clips by row and column, at their ends; at their beginning they are black."""


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
        cells=tuple(tuple(path and Shown(coordinates={}, picture=path) for path in row) for row in paths),
    )


@pytest.fixture
def page(tmp_path):
    (tmp_path / "clips").mkdir()
    return page_of([[clip(tmp_path / "clips" / f"{r}{c}", COLOURS[r][c]) for c in range(2)] for r in range(2)])


def video(path, frames=9, fps=8.0):
    import re
    import subprocess

    said = subprocess.run([ffmpeg.program(), "-i", path], capture_output=True, text=True, check=False).stderr
    width, height = map(int, re.search(r" (\d+)x(\d+)[ ,]", said).groups())
    film = Film(frames=frames, width=width, height=height, fps=fps)
    return np.stack(list(ffmpeg.frames(path, film, ffmpeg.H264)))


def place(picture, colour):
    """The middle of what has that colour, row and column; None if nothing has."""
    near = np.abs(picture.astype(int) - colour).max(axis=-1) < 25
    return np.argwhere(near).mean(axis=0) if near.sum() > 500 else None


def test_clips_play_side_by_side_each_in_its_place(tmp_path, page):
    path, _ = write_clip_sheets(page, tmp_path / "s.mp4", title="demo", footer="")

    frames = video(path)

    places = [[place(frames[-1], COLOURS[r][c]) for c in range(2)] for r in range(2)]
    assert places[0][0][1] < places[0][1][1]
    assert places[0][0][0] < places[1][0][0]
    assert abs(places[0][0][0] - places[0][1][0]) < 3
    assert place(frames[0], (0, 0, 0)) is not None
    assert all(place(frames[0], colour) is None for row in COLOURS for colour in row)


def test_a_row_of_frames_goes_from_the_first_to_the_last(tmp_path, page):
    from PIL import Image

    _, path = write_clip_sheets(page, tmp_path / "s.mp4", title="demo", footer="")

    with Image.open(path) as sheet:
        picture = np.asarray(sheet.convert("RGB"))
    ends = [place(picture, COLOURS[r][c]) for r, c in ((0, 0), (0, 1), (1, 0), (1, 1))]
    halves = [place(picture, np.array(COLOURS[r][c]) // 2) for r, c in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert all(half[1] < end[1] for half, end in zip(halves, ends, strict=True))
    assert [end[0] for end in ends] == sorted(end[0] for end in ends)


def test_a_clip_that_is_over_stays_at_its_end_while_others_go_on(tmp_path):
    short = clip(tmp_path / "a", (200, 40, 40), frames=5)
    long = clip(tmp_path / "b", (60, 60, 220), frames=17)

    path, _ = write_clip_sheets(page_of([[short, long]]), tmp_path / "s.mp4", title="demo", footer="")

    frames = video(path, frames=17)
    assert place(frames[6], (200, 40, 40)) is not None
    assert place(frames[6], (60, 60, 220)) is None
    assert place(frames[16], (60, 60, 220)) is not None


def test_clips_of_two_speeds_play_at_theirs(tmp_path):
    slow = clip(tmp_path / "a", (200, 40, 40), frames=5, fps=4.0)
    fast = clip(tmp_path / "b", (60, 60, 220), frames=10, fps=16.0)

    path, _ = write_clip_sheets(page_of([[slow, fast]]), tmp_path / "s.mp4", title="demo", footer="")

    frames = video(path, frames=20, fps=16.0)
    assert place(frames[9], (60, 60, 220)) is not None
    assert place(frames[9], (200, 40, 40)) is None
    assert place(frames[16], (200, 40, 40)) is not None


@pytest.mark.parametrize("container", ["webm", "gif", "webp", "frames"])
def test_any_container_is_shown(tmp_path, container):
    path = clip(tmp_path / "a", (200, 40, 40), container=container)

    sheet, rows = write_clip_sheets(page_of([[path]]), tmp_path / "s.mp4", title="demo", footer="")

    assert place(video(sheet)[-1], (200, 40, 40)) is not None
    assert rows.exists()


def test_what_is_missing_excluded_or_torn_has_its_pale_field_and_costs_the_others_nothing(tmp_path):
    torn = clip(tmp_path / "torn", (40, 160, 60))
    torn.write_bytes(torn.read_bytes()[:-200])
    whole = clip(tmp_path / "whole", (200, 40, 40))
    page = page_of([[whole, torn, None]])
    page = Page(
        **{name: getattr(page, name) for name in ("title", "x", "y", "rows")},
        columns=(*page.columns, "3"),
        cells=((*page.cells[0], Shown(coordinates={}, picture=None)),),
    )

    path, rows = write_clip_sheets(page, tmp_path / "s.mp4", title="demo", footer="")

    frames = video(path)
    assert place(frames[-1], (200, 40, 40)) is not None
    assert place(frames[-1], (238, 239, 241)) is not None
    assert rows.exists()


def test_a_sheet_that_shows_the_same_already_is_not_made_again(tmp_path, page):
    files = write_clip_sheets(page, tmp_path / "s.mp4", title="demo", footer="")
    before = [path.stat().st_ino for path in files]

    write_clip_sheets(page, tmp_path / "s.mp4", title="demo", footer="")
    same = [path.stat().st_ino for path in files]
    write_clip_sheets(page, tmp_path / "s.mp4", title="demo", footer="another")

    assert same == before
    assert not {*before} & {path.stat().st_ino for path in files}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips", "s.mp4", "s.png"]


def test_a_sheet_over_the_limit_goes_on_in_further_files(tmp_path, page, monkeypatch):
    monkeypatch.setattr(sheets, "MAX_PIXELS", 300_000)

    files = write_clip_sheets(page, tmp_path / "s.mp4", title="demo", footer="")

    videos = [path for path in files if path.suffix == ".mp4"]
    assert len(videos) > 1
    assert videos[1].name == "s-2.mp4"
    seen = [
        colour for path in videos for row in COLOURS for colour in row if place(video(path)[-1], colour) is not None
    ]
    assert sorted(seen) == sorted(colour for row in COLOURS for colour in row)


def test_only_our_own_videos_are_known_as_sheets(tmp_path, page):
    mine, rows = write_clip_sheets(page, tmp_path / "s.mp4", title="demo", footer="")
    (tmp_path / "link.mp4").symlink_to(mine)
    (tmp_path / "junk.mp4").write_bytes(b"x" * 100)

    assert shown_by(mine)
    assert shows(rows)
    assert shown_by(tmp_path / "link.mp4") is None
    assert shown_by(tmp_path / "junk.mp4") is None
    assert shown_by(tmp_path / "none.mp4") is None
    assert shown_by(clip(tmp_path / "clip", (1, 2, 3))) is None
