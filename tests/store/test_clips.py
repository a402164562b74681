"""Every container with every kind of clip; then everything that can go wrong while one is written, or was altered."""

import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batchgen.errors import StoreError
from batchgen.fake import picture_of
from batchgen.store import clips, ffmpeg, media
from batchgen.store.clips import Keeping
from batchgen.store.publish import FULL

CONTAINERS = ["mp4", "webm", "gif", "webp", "frames"]
PROMPTS = [
    "a heron",
    "日本語 🐦 \u202eright to left \u2028 \x85 \ufeff",
    "a=b;c#d\\e 'f' \"g\" ${x} [STREAM]\ncomment={}\n;FFMETADATA1",
    "<b>&amp;</batchgen:record>]]>",
    "zero\0byte and \x07 bell \ufffe",
    "  spaces at both ends  ",
    "é" * 400_000,
    "",
]


@pytest.fixture(params=CONTAINERS)
def keeping(request):
    return Keeping(container=request.param)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a shell script in the place of ffmpeg; `$REAL` in it is the real one."""
    real = ffmpeg.program()

    def put(text):
        path = tmp_path / "ffmpeg"
        path.write_text(f'#!/bin/sh\nREAL="{real}"\n{text}\n')
        path.chmod(0o755)
        monkeypatch.setattr(ffmpeg, "program", lambda: str(path))

    ffmpeg.version()
    return put


def far_apart(one, other):
    return np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean()


def test_a_clip_comes_back_with_its_frames_in_their_order_and_its_record(tmp_path, build_, keeping):
    job = build_.job(frames=9, width=96)

    written = build_.clip(tmp_path / "a", job, keeping=keeping)

    frames, wanted = list(clips.frames(written.file)), picture_of(job)
    assert len(frames) == 9
    for number, frame in enumerate(frames):
        nearest = min(range(9), key=lambda other: far_apart(frame, wanted[other]))
        assert nearest == number
        assert far_apart(frame, wanted[number]) < 8
    assert clips.embedded(written.file) == (json.loads(written.text), written.text)
    assert list(tmp_path.iterdir()) == [written.file]
    assert media.validate(written.file)[0]["id"] == job.id
    assert (written.bytes, written.file_sha256) == (
        written.file.stat().st_size,
        hashlib.sha256(written.file.read_bytes()).hexdigest(),
    )


def test_a_record_says_how_long_a_clip_is_and_what_it_was_encoded_by(tmp_path, build_, keeping):
    job = build_.job(frames=9, fps=12.5)

    output = json.loads(build_.clip(tmp_path / "a", job, keeping=keeping).text)["output"]

    assert (output["frames"], output["fps"], output["seconds"], output["container"]) == (
        *(9, 12.5, 0.72),
        keeping.container,
    )
    assert output["encoder"].startswith(("ffmpeg n", "ffmpeg 7", "Pillow "))
    assert output["pixel_sha256"] == clips.pixel_sha256(picture_of(job), clips.Film.of(picture_of(job), 12.5))
    lossless = keeping.container in ("frames", "gif")  # a GIF of so few colours loses none
    assert (output["decoded_sha256"] == output["pixel_sha256"]) == lossless


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: repr(prompt[:12]) + str(len(prompt)))
def test_any_prompt_survives_in_any_container(tmp_path, build_, keeping, prompt):
    job = build_.job(frames=2, prompt=prompt)

    written = build_.clip(tmp_path / "a", job, keeping=keeping)

    record, text = media.validate(written.file)
    assert record["recipe"]["prompt"] == prompt
    assert text == written.text


@pytest.mark.parametrize("container", ["frames", "webp"])
def test_where_nothing_is_lost_every_pixel_comes_back(tmp_path, build_, container):
    job = build_.job(frames=5)
    noise = np.random.default_rng(0).integers(0, 256, (5, 48, 64, 3), dtype=np.uint8)

    written = build_.clip(tmp_path / "a", job, noise, Keeping(container=container, quality=100))

    assert np.array_equal(np.stack(list(clips.frames(written.file))), noise)


def test_a_gif_of_few_colours_has_every_pixel_of_each_frame(tmp_path, build_):
    job = build_.job(frames=9)

    written = build_.clip(tmp_path / "a", job, keeping=Keeping(container="gif"))

    assert np.array_equal(np.stack(list(clips.frames(written.file))), picture_of(job))


def test_frames_that_are_equal_are_all_there(tmp_path, build_, keeping):
    """GIF and WebP show one of them for longer."""
    job = build_.job(frames=9)
    pixels = picture_of(job)
    pixels[3:6] = pixels[3]
    pixels[8] = pixels[7]

    written = build_.clip(tmp_path / "a", job, pixels, keeping)
    still = build_.clip(tmp_path / "b", job, np.repeat(pixels[:1], 9, axis=0), keeping)

    assert len(list(clips.frames(written.file))) == len(list(clips.frames(still.file))) == 9
    assert json.loads(still.text)["output"]["still"] is True
    assert json.loads(written.text)["output"]["still"] is False


@pytest.mark.parametrize("fps", [1, 7.5, 23.976, 29.97, 50])
def test_a_clip_lasts_as_long_as_it_should_at_any_speed(tmp_path, build_, keeping, fps):
    job = build_.job(frames=49, fps=fps, width=16, height=16)

    written = build_.clip(tmp_path / "a", job, keeping=keeping)

    assert len(list(clips.frames(written.file))) == 49
    if keeping.container in ("gif", "webp"):
        with Image.open(written.file) as image:
            shown = 0
            for number in range(image.n_frames):
                image.seek(number)
                image.load()
                shown += image.info["duration"]
        assert abs(shown / 1000 - 49 / fps) <= 0.005


def test_the_same_frames_become_the_same_bytes(tmp_path, build_, keeping):
    job = build_.job(frames=9)

    one, other = (build_.clip(tmp_path / name, job, keeping=keeping).file.read_bytes() for name in "ab")

    assert one == other


@pytest.mark.parametrize("container", ["mp4", "webm", "webp"])
def test_less_quality_makes_smaller_files(tmp_path, build_, container):
    job = build_.job(frames=9, width=128, height=128)
    noise = np.random.default_rng(0).integers(0, 256, (9, 128, 128, 3), dtype=np.uint8)

    sizes = [
        build_.clip(tmp_path / str(quality), job, noise, Keeping(container=container, quality=quality)).bytes
        for quality in (0, 50, 80, 99)
    ]

    assert sizes == sorted(sizes)
    assert 3 * sizes[0] < sizes[-1]


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_video_is_written_as_players_everywhere_read_it(tmp_path, build_, container):
    written = build_.clip(tmp_path / "a", build_.job(frames=9), keeping=Keeping(container=container))

    said = subprocess.run([ffmpeg.program(), "-i", written.file], capture_output=True, text=True, check=False).stderr

    assert {"mp4": "Video: h264 (High)", "webm": "Video: vp9"}[container] in said
    assert "yuv420p(tv, bt709" in said
    assert "64x48" in said
    assert "8 fps" in said


@pytest.mark.parametrize(("size", "near"), [((63, 48), "62x48 or 64x48"), ((63, 47), "62x46 or 64x48")])
def test_an_mp4_of_an_odd_size_is_refused_with_the_nearest_even_ones(tmp_path, build_, size, near):
    job = build_.job(frames=3, width=size[0], height=size[1])

    with pytest.raises(StoreError, match=f"take {near}, or output.clips=webm"):
        build_.clip(tmp_path / "a", job)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("container", ["webm", "gif", "webp", "frames"])
def test_what_can_have_an_odd_size_keeps_it(tmp_path, build_, container):
    job = build_.job(frames=3, width=63, height=47)

    written = build_.clip(tmp_path / "a", job, keeping=Keeping(container=container))

    assert [frame.shape for frame in clips.frames(written.file)] == [(47, 63, 3)] * 3


def test_a_gif_faster_than_browsers_play_it_is_refused(tmp_path, build_):
    with pytest.raises(StoreError, match=r"at most 50 frames a second, and 60 are asked for: take output.clips=webp"):
        build_.clip(tmp_path / "a", build_.job(frames=3, fps=60.0), keeping=Keeping(container="gif"))


@pytest.mark.parametrize("shape", [(0, 48, 64, 3), (9, 0, 64, 3), (48, 64, 3), (9, 48, 64), (9, 48, 64, 4)])
def test_what_has_no_frames_is_no_clip(tmp_path, build_, keeping, shape):
    with pytest.raises(StoreError, match="is no clip"):
        build_.clip(tmp_path / "a", build_.job(frames=9), np.zeros(shape, np.uint8), keeping)

    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_gone_leaves_nothing_anywhere(tmp_path, build_, keeping):
    with pytest.raises((StoreError, OSError), match="No such file"):
        build_.clip(tmp_path / "gone" / "a", build_.job(frames=9), keeping=keeping)

    assert not list(tmp_path.iterdir())


def test_a_name_of_three_hundred_bytes_is_refused(tmp_path, build_, keeping):
    with pytest.raises((StoreError, OSError), match="File name too long"):
        build_.clip(tmp_path / ("x" * 300), build_.job(frames=9), keeping=keeping)

    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_known_as_one_and_leaves_no_half_clip(tmp_path, build_, keeping, room_for):
    job = build_.job(frames=9, width=128, height=128)
    noise = np.random.default_rng(0).integers(0, 256, (9, 128, 128, 3), dtype=np.uint8)

    with pytest.raises(OSError, match=r"too large|no room") as caught, room_for(2000):
        build_.clip(tmp_path / "a", job, noise, keeping)

    assert caught.value.errno in FULL
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("kill -9 $$", "ffmpeg was ended by SIGKILL"),
        ('head -c 10000 > "$0.eaten"; rm "$0.eaten"; kill -9 $$', "ffmpeg was ended by SIGKILL"),
        ("echo it hurts >&2; exit 7", "ffmpeg ended with exit status 7: it hurts"),
        (
            'case "$*" in *-crf*) cat > /dev/null; exit 0; esac; exec "$REAL" "$@"',
            "No such file",
        ),  # all is well, it says
        ('"$REAL" "$@"; kill -9 $$', "ffmpeg was ended by SIGKILL"),  # after the last frame
        (  # after the record was put into the clip
            'case "$*" in *ffmetadata*pipe:0*) "$REAL" "$@"; kill -9 $$; esac; exec "$REAL" "$@"',
            "ffmpeg was ended by SIGKILL",
        ),
        ('head -c 20000 | "$REAL" "$@"', "has 2 whole frames instead of 9"),  # only some of the frames
    ],
)
@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_an_ffmpeg_that_fails_anyhow_is_no_clip_and_leaves_none(tmp_path, build_, program, container, script, said):
    program(script)

    with pytest.raises(StoreError, match=said):
        build_.clip(tmp_path / "a", build_.job(frames=9), keeping=Keeping(container=container))

    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


def test_an_ffmpeg_that_is_not_there_is_said_in_words(tmp_path, build_, monkeypatch):
    ffmpeg.version()
    monkeypatch.setattr(ffmpeg, "program", lambda: "/nowhere/ffmpeg")

    with pytest.raises(StoreError, match="/nowhere/ffmpeg: ffmpeg cannot be started: No such file or directory"):
        build_.clip(tmp_path / "a", build_.job(frames=9))


PARENT = """
import os, signal, sys
import numpy as np
from pathlib import Path
from batchgen.store import ffmpeg
from batchgen.store.film import Film

class Dying:
    def __iter__(self):
        yield from np.zeros((40, 64, 64, 3), np.uint8)
        print("forty", flush=True)
        signal.pause()

film = Film(frames=100, height=64, width=64, fps=8)
ffmpeg.encode(Dying(), film, ffmpeg.H264, 80, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_parent_is_ended_ffmpeg_ends_too(tmp_path, number):
    """What it leaves is in `tmp/`, where nobody takes it for a clip."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path / "a.mp4"], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"forty\n"
    (child,) = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    ended = os.pidfd_open(int(child))

    parent.send_signal(number)
    parent.communicate()

    assert select.select([ended], [], [], 60)[0]
    os.close(ended)


@pytest.mark.parametrize("at", [0.02, 0.3, 0.6, 0.9, 0.999, 1])
def test_a_clip_cut_anywhere_is_none(tmp_path, build_, keeping, at):
    written = build_.clip(tmp_path / "a", build_.job(frames=9), keeping=keeping)
    data = written.file.read_bytes()
    written.file.write_bytes(data[: min(int(at * len(data)), len(data) - 1)])

    with pytest.raises(StoreError):
        media.validate(written.file)


def test_other_frames_under_the_same_record_are_noticed(tmp_path, build_, keeping):
    job, pixels = build_.job(frames=9), picture_of(build_.job(frames=9))
    pixels[4, 20:30, 20:30] ^= 255
    text = build_.clip(tmp_path / "a", job, keeping=keeping).text
    other = clips.write(pixels, 8.0, keeping, tmp_path / "b", lambda _: text)

    with pytest.raises(StoreError, match="the pixels are not those that its record is of"):
        media.validate(other.file)


def test_only_the_one_format_of_a_suffix_is_opened(tmp_path, build_):
    files = {c: build_.clip(tmp_path / c, build_.job(frames=9), keeping=Keeping(container=c)).file for c in CONTAINERS}
    for container, suffix in clips.CLIP_SUFFIXES.items():
        for other, file in files.items():
            if other != container:
                (tmp_path / f"x{suffix}").write_bytes(file.read_bytes())
                with pytest.raises(StoreError):
                    media.record_in(tmp_path / f"x{suffix}")


def test_a_video_that_names_other_files_opens_none_of_them(tmp_path, build_):
    """A playlist under the name of a video is how ffmpeg was made to read files of the machine."""
    (tmp_path / "a.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    (tmp_path / "a.webm").write_text("ffconcat version 1.0\nfile /etc/passwd\n")

    for path in tmp_path.iterdir():
        with pytest.raises(StoreError) as caught:
            media.record_in(path)
        assert "root:" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".webp", ".zip"])
def test_what_is_no_file_or_holds_no_record_says_so(tmp_path, suffix):
    with pytest.raises(StoreError, match="No such file"):
        media.record_in(tmp_path / f"none{suffix}")
    os.mkfifo(tmp_path / f"pipe{suffix}")
    with pytest.raises(StoreError, match="is no file"):
        media.record_in(tmp_path / f"pipe{suffix}")


def test_a_zip_that_would_grow_without_end_is_refused(tmp_path, build_):
    written = build_.clip(tmp_path / "a", build_.job(frames=2), keeping=Keeping(container="frames"))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("record.json", written.text + " " * 10_000_000)

    with pytest.raises(StoreError, match="is compressed, or too large"):
        media.record_in(tmp_path / "bomb.zip")


@pytest.mark.parametrize(
    "changes",
    [{"frames": 10**9}, {"frames": 0}, {"width": True}, {"height": 16384, "width": 99999}, {"fps": 0}, {"fps": "8"}],
)
def test_a_record_that_tells_absurd_measures_is_refused_before_anything_is_decoded(tmp_path, build_, changes):
    written = build_.clip(tmp_path / "a", build_.job(frames=2), keeping=Keeping(container="frames"))
    record = json.loads(written.text)
    record["output"] |= changes

    with pytest.raises(StoreError, match=r"record does not tell|more than any clip"):
        clips.seen(written.file, record)
