"""Clips that go on where another one ends, joined to one file, and made larger; by the real command line."""

import json
import shutil
import signal
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from batchgen.shipped import shipped_model
from batchgen.store import clips, media
from batchgen.store.ffmpeg import H264, frames
from batchgen.store.film import Film

FAKE = "runtime.engine=fake"

OPTION = """\
family: cogvideox_i2v
source: {folder: animating}
recommended:
  {width: 48, height: 48, frames: 9, fps: 8, steps: 2, guidance_scale: 4.0, sampler: cogvideox_dpm, schedule: simple}
"""

CHAIN = """\
set: {model: still}
prompts: [{template: "a red circle ${how}"}]
seeds: 0..1
bundles:
  shot:
    shot1: {init_image: photos/heron.png, how: moving right}
    shot2: {init_image: {from: shot1, frame: last}, how: moving up}
    shot3: {init_image: {from: shot2}, how: moving left}
join: [shot1, shot2, shot3]
compare: false
"""

KILLED = """
import os, sys
from batchgen.run import runner
finished = runner.Finished
left = [2]
def dying(**said):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), 9)
    return finished(**said)
runner.Finished = dying
from batchgen.cli import main
sys.argv[0] = "batchgen"
main()
"""


def equip(person):
    """Give somebody a model that animates pictures, as far as the fake engine looks, and pictures."""
    shutil.copytree(shipped_model("demo_motion"), person.folder / "models/animating")
    index = person.folder / "models/animating/model_index.json"
    index.write_text(index.read_text().replace("CogVideoXPipeline", "CogVideoXImageToVideoPipeline"))
    person.writes("conf/model/still.yaml", OPTION)
    person.writes("chain.yaml", CHAIN)
    (person.folder / "photos").mkdir()
    for number, name in enumerate(("heron", "fox")):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(person.folder / f"photos/{name}.png")
    return person


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, person_in):
    person = equip(person_in(tmp_path_factory.mktemp("person")))
    said = person.types("run", "chain.yaml", FAKE, "output.clips=frames")
    assert said.code == 0, said.err
    return person, said


def files(person, folder, run="chain"):
    return sorted((person.folder / "outputs" / run / folder).iterdir())


def shots(person, run="chain"):
    """The clips of a run by shot and seed."""
    found = {}
    for path in files(person, "clips", run):
        _, shot, seed, _ = path.stem.rsplit("_", 3)
        found[shot, int(seed.removeprefix("s"))] = path
    return found


def kept(person, run="chain"):
    return files(person, ".batchgen/frames", run)


def of_joined(path, count, container="frames"):
    film = Film(frames=count, height=48, width=48, fps=8.0)
    if container == "mp4":
        return np.stack(list(frames(path, film, H264)))
    from batchgen.store import zipped

    return np.stack(list(zipped.frames(path, film)))


def without_doubles(person, run="chain", *, seed=0):
    found = [np.stack(list(clips.frames(shots(person, run)[f"shot{number}", seed]))) for number in (1, 2, 3)]
    return np.concatenate([found[0], found[1][1:], found[2][1:]])


def test_every_shot_begins_where_the_one_before_ends_and_all_of_a_seed_are_one_file(rendered):
    person, said = rendered

    found = shots(person)
    assert len(found) == 6
    for seed in (0, 1):
        for before, after in (("shot1", "shot2"), ("shot2", "shot3")):
            last, first = list(clips.frames(found[before, seed]))[-1], next(clips.frames(found[after, seed]))
            assert np.array_equal(last[5:40], first[5:40])  # the fake engine writes the id into the corners
    joined = files(person, "joined")
    assert [path.suffix for path in joined] == [".zip", ".zip"]
    assert "joined" in said.out
    assert found["shot2", 0].name.startswith("heron-a-red-circle-moving-up_shot2_s0_")
    assert np.array_equal(of_joined(joined[0], 25), without_doubles(person, seed=0))
    assert np.array_equal(of_joined(joined[1], 25), without_doubles(person, seed=1))
    summary = json.loads((person.folder / "outputs/chain/summary.json").read_bytes())
    assert summary["joined"] == [f"joined/{path.name}" for path in joined]
    assert not kept(person)


def test_the_record_of_a_shot_needs_nothing_but_the_picture_that_it_all_began_with(rendered):
    person, _ = rendered
    record = media.record_in(shots(person)["shot3", 0])

    stage = record["recipe"]["init_image"]
    assert (stage["frame"], stage["recipe"]["init_image"]["frame"]) == (9, 9)
    assert [each["name"] for each in record["files"]] == ["heron.png"]
    assert len(record["stages"]) == 2


def test_shots_are_made_again_exactly_with_those_before_them(rendered):
    person, _ = rendered
    third = shots(person)["shot3", 1]

    one = person.types("reproduce", str(third), FAKE, "output.clips=webp", "--json")
    every = person.types("reproduce", "outputs/chain", FAKE, "--json")

    assert (one.code, every.code) == (0, 0), one.err + every.err
    assert (json.loads(one.out)["exact"], json.loads(every.out)["exact"]) == (1, 6)
    assert len(list((person.folder / "outputs/reproduced/1/clips").iterdir())) == 3
    assert not list((person.folder / "outputs/reproduced/1/.batchgen/frames").iterdir())


def test_a_run_killed_between_two_shots_goes_on_and_joins_the_very_frames(person, rendered):
    equip(person)
    killed = person.types_in(KILLED, "run", "chain.yaml", FAKE, "output.clips=webp", "output.clip_quality=100")
    assert killed.code == -signal.SIGKILL
    made = {path: path.read_bytes() for path in files(person, "clips")}
    assert 2 <= len(made) < 6
    assert kept(person)

    said = person.types("run", "outputs/chain", FAKE)

    assert said.code == 0, said.err
    assert made.items() <= {path: path.read_bytes() for path in files(person, "clips")}.items()
    assert len(shots(person)) == 6
    assert not kept(person)
    assert len(files(person, "joined")) == 2
    for seed in (0, 1):
        assert np.array_equal(without_doubles(person, seed=seed), without_doubles(rendered[0], seed=seed))
    assert "nothing to do" in person.types("run", "outputs/chain", FAKE).out


def test_what_is_joined_is_of_the_frames_as_they_were_rendered_while_these_are_kept(person, rendered):
    """Encoded once, it is nearer to them than what was encoded twice."""
    equip(person)
    words = ("chain.yaml", FAKE, "output.clip_quality=30", "seeds=0")
    assert person.types("run", *words).code == 0
    (once,) = files(person, "joined")
    exact = of_joined(files(rendered[0], "joined")[0], 25)
    near = of_joined(once, 25, "mp4")
    once.unlink()

    said = person.types("run", *words)

    assert said.code == 0, said.err
    assert "nothing to do" in said.out
    assert files(person, "joined") == [once]
    far = of_joined(once, 25, "mp4")
    assert 0 < np.abs(near.astype(int) - exact).mean() < np.abs(far.astype(int) - exact).mean() < 20


def test_a_limited_run_keeps_the_frames_for_the_next_one(person):
    equip(person)

    codes = [person.types("run", "chain.yaml", FAKE, "seeds=0", "--limit", "1").code for _ in range(3)]

    assert codes == [1, 1, 0]
    journal = (person.folder / "outputs/chain/.batchgen/journal.jsonl").read_text()
    assert journal.count('"done"') == 3
    assert len(files(person, "joined")) == 1
    assert not kept(person)


def test_another_shot_later_has_the_last_one_rendered_again_and_nothing_published_anew(person):
    equip(person)
    two = CHAIN.replace(", shot3]", "]").replace("    shot3: {init_image: {from: shot2}, how: moving left}\n", "")
    person.writes("chain.yaml", two)
    assert person.types("run", "chain.yaml", FAKE, "seeds=0").code == 0
    before = {path: path.read_bytes() for path in files(person, "clips")}
    person.writes("chain.yaml", CHAIN)

    plan = person.types("plan", "chain.yaml", FAKE, "seeds=0")
    said = person.types("run", "chain.yaml", FAKE, "seeds=0")

    assert "why: 2 frames missing, 1 new" in plan.out
    assert "joined when all are made: 1 clip of 3 each" in plan.out
    assert said.code == 0, said.err
    after = {path: path.read_bytes() for path in files(person, "clips")}
    assert before.items() < after.items()
    assert len(after) == 3
    assert len(files(person, "joined")) == 2
    assert person.types("verify", "outputs/chain").code == 0


def test_some_shots_alone_are_not_joined(person):
    equip(person)

    said = person.types("run", "chain.yaml", FAKE, "seeds=0", "shot=shot1,shot2")

    assert said.code == 0, said.err
    assert len(files(person, "clips")) == 2
    assert not (person.folder / "outputs/chain/joined").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("frame: last", "frame: 10", "init_image: from shot1 frame 10: that clip has 9 frames"),
        ("shot3]", "shto3]", "chain.yaml:9: join: unknown option of shot 'shto3'; did you mean 'shot3'?"),
        ("photos/heron.png", "none", "init_image is missing: CogVideoX image to video makes a clip of a picture"),
        ("how: moving up", "how: up, width: 64", "join: shot1 is 48x48 with 8 frames a second, and shot2 is 64x48"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(person, old, new, said):
    equip(person)
    person.writes("chain.yaml", CHAIN.replace(old, new))

    for command in ("plan", "run"):
        answer = person.types(command, "chain.yaml", FAKE)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert said in answer.err
    assert not (person.folder / "outputs").exists()


def test_promote_and_show_take_clips_or_say_why_not(rendered):
    person, _ = rendered
    found = shots(person)

    first = person.types("promote", "outputs/chain", "--pick", found["shot1", 0].name, "steps=9", FAKE)
    second = person.types("promote", "outputs/chain", "--pick", found["shot2", 0].name, "steps=9", FAKE)
    shown = person.types("show", str(found["shot2", 0]))
    joined = person.types("show", str(files(person, "joined")[0]))
    upscaled = person.types("upscale", str(found["shot1", 0]), "model=demo_x2", FAKE)

    assert first.code == 0, first.err
    assert "heron.png" in first.out
    assert (second.code, second.err.count("\n")) == (2, 1)
    assert "init_image: is frame 9 of another clip that batchgen made" in second.err
    assert json.loads(shown.out)["recipe"]["init_image"]["frame"] == 9
    assert (joined.code, joined.err.count("\n")) == (2, 1)
    assert (upscaled.code, upscaled.err.count("\n")) == (2, 1)
    assert "is a clip, and this command takes pictures" in upscaled.err


def test_pictures_to_animate_are_an_axis(person):
    equip(person)
    person.writes(
        "animals.yaml",
        "set: {model: still}\nprompts: [moving right]\nsweep: {init_image: photos/*.png}\ncompare: false\n",
    )

    said = person.types("run", "animals.yaml", FAKE)

    assert said.code == 0, said.err
    records = [media.record_in(path) for path in files(person, "clips", "animals")]
    assert sorted(record["files"][0]["name"] for record in records) == ["fox.png", "heron.png"]
    assert len({record["output"]["pixel_sha256"] for record in records}) == 2


@pytest.mark.skipif(find_spec("spandrel") is None, reason="the extra `upscale` is not installed")
def test_a_clip_of_the_embedded_model_is_made_larger_by_the_embedded_upscaler_and_again(person):
    words = ("--prompt", "a red circle moving right on a blue background", "model=demo_motion", "steps=2")

    said = person.types("run", *words, "upscale=demo_x2", "output.clips=frames", "output.sheets=false")

    assert said.code == 0, said.err
    found = {media.record_in(path)["output"]["width"]: path for path in files(person, "clips", "adhoc")}
    assert sorted(found) == [48, 96]
    small, large = (np.stack(list(clips.frames(found[width]))) for width in (48, 96))
    assert (small.shape, large.shape) == ((9, 48, 48, 3), (9, 96, 96, 3))
    halved = large.reshape(9, 48, 2, 48, 2, 3).mean(axis=(2, 4))
    assert np.abs(halved - small).mean() < 8
    execution = media.record_in(found[96])["execution"]
    assert (execution["upscaler"], execution["passes"], execution["tiles"]) == ("demo_x2", 1, 9)
    again = person.types("reproduce", str(found[96]), "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["exact"] == 1
