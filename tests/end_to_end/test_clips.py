"""Clips by the real command line, on the fake engine: made, resumed, verified, made again, compared."""

import json
import shutil

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from batchgen.shipped import shipped_model
from batchgen.store import clips, media
from batchgen.store.clips import CLIP_SUFFIXES

FAKE = "runtime.engine=fake"

OPTION = """\
family: cogvideox
source: {{folder: {folder}}}
recommended:
  {{width: 64, height: 64, frames: 9, fps: 8, steps: 2, guidance_scale: 4.0, sampler: cogvideox_dpm, schedule: simple}}
"""

SWEEP = """\
set: {model: moving}
prompts:
- a red circle moving right
- {prompt: a blue square moving up, name: cover, note: for the front}
seeds: 0..1
sweep: {guidance_scale: [1.0, 6.0]}
compare: {x: guidance_scale, y: seed, page: prompt}
"""


@pytest.fixture(scope="module")
def equip(tmp_path_factory):
    """Give somebody a model that makes clips, whatever its weights are, and a sweep of it."""
    folder = tmp_path_factory.mktemp("models") / "moving"
    shutil.copytree(shipped_model("demo_motion"), folder)

    def given(person):
        person.writes("conf/model/moving.yaml", OPTION.format(folder=folder))
        person.writes("sweep.yaml", SWEEP)
        return person

    return given


def clips_of(person, run="outputs/sweep"):
    return sorted((person.folder / run / "clips").iterdir())


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, person_in, equip):
    person = equip(person_in(tmp_path_factory.mktemp("person")))
    said = person.types("run", "sweep.yaml", FAKE)
    assert said.code == 0, said.err
    return person, said


def test_every_combination_has_its_clip_with_its_frames_and_its_record(rendered):
    person, _ = rendered

    found = clips_of(person)

    assert len(found) == 8
    assert {path.suffix for path in found} == {".mp4"}
    for path in found:
        record, text = media.validate(path)
        assert (person.folder / "outputs/sweep/records" / f"{record['id'][:12]}.json").read_text() == text
        assert (record["recipe"]["frames"], record["output"]["frames"]) == (9, 9)
        assert [frame.shape for frame in clips.frames(path)] == [(64, 64, 3)] * 9
    assert sum(path.name.startswith("cover_") for path in found) == 4


def test_things_move(rendered):
    """The fake engine's disc goes from left to right in every clip."""
    for path in clips_of(rendered[0]):
        frames = np.stack(list(clips.frames(path))).astype(int)
        middles = []
        for frame in frames:
            ground = np.where(np.arange(64)[:, None] < 32, frame[60, 4], frame[60, 40])
            apart = np.abs(frame[32] - ground).sum(axis=1) > 60
            middles.append(np.flatnonzero(apart).mean())
        assert all(np.diff(middles) > 1), middles


def test_the_same_command_again_has_nothing_to_do_and_imports_no_torch(rendered, without_torch):
    person, _ = rendered
    poison, mark = without_torch

    said = person.types("run", "sweep.yaml", FAKE, **poison)

    assert said.code == 0, said.err
    assert "nothing to do" in said.out
    assert not mark.exists()


def test_a_clip_that_is_gone_is_made_again_under_its_name_and_nothing_else_is(copied):
    gone = clips_of(copied)[2]
    before = {path: path.read_bytes() for path in clips_of(copied)}
    gone.unlink()

    said = copied.types("run", "outputs/sweep", FAKE)

    assert said.code == 0, said.err
    assert "1 clip made" in said.out
    assert {path: path.read_bytes() for path in clips_of(copied) if path != gone}.items() <= before.items()
    assert media.record_in(gone)["output"]["pixel_sha256"] in before[gone].decode("latin-1")


def test_a_torn_clip_is_found_by_verify_set_aside_and_made_again(copied):
    torn = clips_of(copied)[0]
    torn.write_bytes(torn.read_bytes()[:-10])

    found = json.loads(copied.types("verify", "outputs/sweep", "--json").out)["findings"]
    again = copied.types("run", "outputs/sweep", FAKE)
    after = copied.types("verify", "outputs/sweep")

    assert [(each["kind"], each["file"].rpartition("/")[2]) for each in found] == [("torn", torn.name)]
    assert again.code == 0, again.err
    assert (after.code, after.out) == (0, "outputs/sweep: 8 clips; all is well\n")


def test_status_and_plan_count_clips(copied):
    clips_of(copied)[0].unlink()

    status, plan = copied.types("status", "outputs/sweep"), copied.types("plan", "outputs/sweep", FAKE)

    assert (status.code, status.out) == (1, "outputs/sweep: 7 of 8 clips are there, 1 left\n")
    assert "8 clips asked for, 7 there, 1 to make" in plan.out
    assert "1 clip missing" in plan.out or "1 picture missing" in plan.out


def test_show_prints_the_record_inside_a_clip(rendered):
    person, _ = rendered
    path = clips_of(person)[0]

    said = person.types("show", str(path.relative_to(person.folder)))
    refused = person.types("show", str(path.relative_to(person.folder)), "--parameters")

    assert json.loads(said.out) == dict(media.record_in(path))
    assert (refused.code, refused.err.count("\n")) == (2, 1)


def test_clips_are_made_again_exactly_however_they_are_kept(copied):
    """Their frames are compared by the hash in the record, not by what an encoder has made of them."""
    said = copied.types("reproduce", "outputs/sweep", FAKE, "output.clips=webm", "--json")

    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["exact"], found["different"], found["impossible"]) == (8, 0, 0)
    assert {each["picture"].rpartition(".")[2] for each in found["pictures"]} == {"webm"}


def test_a_clip_made_again_otherwise_is_different_by_figures_that_say_what_they_are_of(rendered):
    person, _ = rendered
    path = clips_of(person)[0]

    said = person.types("reproduce", str(path), "steps=3", FAKE, "--json")

    assert said.code == 1
    (answer,) = json.loads(said.out)["pictures"]
    assert answer["verdict"] == "DIFFERENT"
    assert 0 < answer["psnr"] < 30
    assert "the figures are of what was encoded (mp4 and mp4)" in answer["note"]


def test_an_altered_clip_is_not_called_exact(copied):
    one, other = clips_of(copied)[:2]
    data = bytearray(one.read_bytes())
    at = data.index(b"mdat") + len(data[data.index(b"mdat") :]) // 2
    data[at] ^= 0xFF
    one.write_bytes(data)

    found = json.loads(copied.types("reproduce", str(one), str(other), FAKE, "--json").out)

    assert found["pictures"][0]["verdict"] in ("DIFFERENT", "IMPOSSIBLE")
    assert found["pictures"][1]["verdict"] == "EXACT"


def test_promote_goes_on_from_a_clip(rendered):
    person, _ = rendered
    path = clips_of(person)[0]

    said = person.types("promote", "outputs/sweep", "--pick", path.name, "steps=9", FAKE)

    assert said.code == 0, said.err
    assert "frames: 9" in said.out
    assert "steps: 9" in said.out


def test_sheets_of_clips_are_a_video_and_rows_of_frames(rendered):
    import imageio_ffmpeg
    from PIL import Image

    from batchgen.compare.clips import shown_by

    person, said = rendered
    sheets = person.folder / "outputs/sweep/sheets"

    names = sorted(path.name for path in sheets.iterdir() if path.is_file())
    assert names == [f"{stem}.{kind}" for stem in ("a-red-circle-moving-right", "cover") for kind in ("mp4", "png")]
    assert "outputs/sweep/sheets (4 sheets)" in said.out
    with Image.open(sheets / names[1]) as rows:
        assert rows.width > 9 * 64
    assert shown_by(sheets / names[0])
    assert imageio_ffmpeg.count_frames_and_secs(str(sheets / names[0]))[0] == 9


@pytest.mark.parametrize("container", ["webm", "gif", "webp", "frames"])
def test_clips_are_kept_as_the_settings_say_and_the_run_directory_remembers(person, equip, container):
    equip(person)
    words = ("--prompt", "a heron", "--seeds", "0..1", "model=moving", FAKE, "output.sheets=false")

    said = person.types("run", *words, f"output.clips={container}", "output.clip_quality=60")
    clips_of(person, "outputs/adhoc")[0].unlink()
    again = person.types("run", "outputs/adhoc", FAKE)

    assert (said.code, again.code) == (0, 0), said.err + again.err
    assert {path.suffix for path in clips_of(person, "outputs/adhoc")} == {CLIP_SUFFIXES[container]}
    assert person.types("verify", "outputs/adhoc").code == 0


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("output.clips=avi", "clips: must be 'mp4', 'webm', 'gif', 'webp' or 'frames', not 'avi'"),
        ("output.clip_quality=101", "clip_quality: must be less than or equal to 100, not 101"),
        ("output.clip_quality=high", "clip_quality: must be a valid integer, not 'high'"),
        ("output.clip=mp4", "unknown key of output 'clip'; did you mean 'clips'?"),
    ],
)
def test_a_wrong_word_about_clips_is_answered_with_what_is_right(person, equip, word, said):
    equip(person)

    answer = person.types("run", "sweep.yaml", FAKE, word)

    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert said in answer.err


def test_a_speed_that_a_gif_has_not_is_refused_before_anything_is_made(person, equip):
    equip(person)

    for command in ("plan", "run"):
        said = person.types(command, "sweep.yaml", FAKE, "output.clips=gif", "fps=60")
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert "output.clips=gif: a GIF shows at most 50 frames a second, and 60 are asked for" in said.err
    assert not (person.folder / "outputs").exists()


def test_without_ffmpeg_a_run_of_clips_does_not_begin_and_says_what_helps(person, equip):
    equip(person)

    refused = person.types("run", "sweep.yaml", FAKE, IMAGEIO_FFMPEG_EXE="/nowhere/ffmpeg")
    other = person.types("run", "sweep.yaml", FAKE, "output.clips=webp", IMAGEIO_FFMPEG_EXE="/x")

    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "output.clips=mp4" in refused.err
    assert "take output.clips=webp" in refused.err
    assert other.code == 0, other.err
    assert {path.suffix for path in (person.folder / "outputs/sweep/sheets").iterdir() if path.is_file()} == {".png"}


def test_an_encoder_that_fails_once_fails_that_clip_and_the_run_goes_on(person, equip):
    equip(person)
    script = person.writes(
        "ffmpeg", f'#!/bin/sh\ncase "$*" in *80x64*) kill -9 $$; esac\nexec "{get_ffmpeg_exe()}" "$@"\n'
    )
    script.chmod(0o755)

    said = person.types(
        "run", "sweep.yaml", FAKE, "width=64,80", "seeds=0", "guidance_scale=1", IMAGEIO_FFMPEG_EXE=str(script)
    )

    assert said.code == 1
    assert "2 clips made, 2 failed" in said.out
    assert "ffmpeg was ended by SIGKILL" in said.out
    assert len(clips_of(person)) == 2
    assert not list((person.folder / "outputs/sweep/.batchgen/tmp").iterdir())
    assert person.types("run", "outputs/sweep", FAKE).code == 0
