"""`batchgen export`: pictures in plain folders, nothing overwritten, nothing left inside that was to be left out."""

import json
import os
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from batchgen.store import clips, images
from batchgen.store.film import Film
from batchgen.store.layout import CLIP_SUFFIXES

SWEEP = """\
set: {model: demo_shapes}
prompts: [a red circle, a blue star]
seeds: 0..1
sweep:
  sampler: [euler, heun]
  steps: [2, 4]
"""
RUN = "outputs/sweep"
QUICK = "runtime.engine=fake", "output.sheets=false", "output.gallery=false"
SECRET = b"a secret word"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, person_in):
    person = person_in(tmp_path_factory.mktemp("person"))
    person.writes("sweep.yaml", SWEEP)
    said = person.types("run", "sweep.yaml", *QUICK)
    assert said.code == 0, said.err
    return person, said


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if not path.is_dir()}


def touched(folder):
    found = {path: path.stat() for path in folder.rglob("*") if not path.is_dir()}
    return {path: (each.st_ino, each.st_mtime_ns) for path, each in found.items()}


def test_every_picture_lies_in_the_folder_of_its_values_with_the_bytes_it_had(copied):
    said = copied.types("export", RUN, "--by", "sampler,steps")

    assert said.code == 0, said.err
    assert said.out == f"{RUN}/export: 16 pictures copied\n"
    found = files(copied.folder / RUN / "export")
    originals = {path.name: path for path in copied.pictures(RUN)}
    wanted = {}
    for name, path in originals.items():
        recipe = images.record_in(path)["recipe"]
        wanted[f"{recipe['sampler']}/{recipe['steps']}/{name}"] = path.read_bytes()
    assert len(wanted) == 16
    assert found == wanted


def test_without_axes_all_lie_in_one_folder_of_your_choice(copied):
    said = copied.types("export", RUN, "--into", "for anna")

    assert said.out == "for anna: 16 pictures copied\n"
    assert files(copied.folder / "for anna") == {path.name: path.read_bytes() for path in copied.pictures(RUN)}


@pytest.mark.parametrize("how", [[], ["--strip"]])
def test_the_same_command_again_touches_no_file(copied, how):
    words = "export", RUN, "--by", "steps", *how
    copied.types(*words)
    before = touched(copied.folder / RUN / "export")

    said = copied.types(*words)

    assert (said.code, said.out) == (0, f"{RUN}/export: 0 pictures copied, 16 there already\n")
    assert touched(copied.folder / RUN / "export") == before


def test_a_file_with_other_content_stays_and_is_named(copied):
    mine = copied.folder / RUN / "export" / copied.pictures(RUN)[3].name
    mine.parent.mkdir()
    mine.write_bytes(b"mine")

    said = copied.types("export", RUN)

    assert (said.code, said.out) == (1, f"{RUN}/export: 15 pictures copied, 1 not copied\n")
    assert mine.name in said.err
    assert mine.read_bytes() == b"mine"
    assert len(files(mine.parent)) == 16


def test_a_stripped_picture_has_the_same_pixels_and_not_a_word(copied):
    said = copied.types("export", RUN, "--strip")

    assert said.code == 0, said.err
    os.umask(umask := os.umask(0))
    for original in copied.pictures(RUN):
        stripped = copied.folder / RUN / "export" / original.name
        with Image.open(original) as old, Image.open(stripped) as new:
            assert "batchgen" in old.info
            assert new.info == {}
            assert np.array_equal(np.asarray(old), np.asarray(new))
        assert stripped.stat().st_mode & 0o777 == 0o666 & ~umask
        assert not any(word in stripped.read_bytes() for word in (b"tEXt", b"iTXt", b"eXIf", b"circle", b"star"))


@pytest.mark.parametrize("container", CLIP_SUFFIXES)
def test_a_stripped_clip_decodes_to_the_same_frames_and_has_not_a_word(person, container):
    prompt = f"a red circle moving right, {SECRET.decode()}"
    words = *QUICK, "model=demo_motion", f"output.clips={container}", "frames=9"
    assert person.types("run", "--prompt", prompt, *words).code == 0

    said = person.types("export", "outputs/adhoc", "--strip")

    assert said.out == "outputs/adhoc/export: 1 clip copied\n", said.err
    (original,) = (person.folder / "outputs/adhoc/clips").iterdir()
    (stripped,) = (person.folder / "outputs/adhoc/export").iterdir()
    assert stripped.name == original.name
    record, text = clips.embedded(original)
    assert SECRET.decode() in text
    assert clips.text_in(stripped) is None
    assert SECRET not in stripped.read_bytes()
    film, way = Film.told(record["output"], "here"), clips._WAYS[container]
    assert film.sha256(way.kind, way.planes(stripped, film)) == record["output"]["decoded_sha256"]
    assert stripped.stat().st_size < original.stat().st_size
    if container == "frames":
        with zipfile.ZipFile(stripped) as archive:
            assert [name.rpartition(".")[2] for name in archive.namelist()] == ["png"] * 9


def test_a_torn_picture_is_not_stripped_into_something_that_looks_whole(copied):
    torn = copied.pictures(RUN)[5]
    data = bytearray(torn.read_bytes())
    data[-40] ^= 1  # in the pixels, so that the file has the size it had
    torn.write_bytes(data)

    said = copied.types("export", RUN, "--strip")

    assert (said.code, said.out) == (1, f"{RUN}/export: 15 pictures copied, 1 not copied\n")
    assert f"{torn.name}: is torn, or altered" in said.err
    assert torn.name not in files(copied.folder / RUN / "export")


def test_what_is_not_made_yet_is_counted_and_comes_with_the_next_export(person):
    person.writes("sweep.yaml", SWEEP)
    run = "run", "sweep.yaml", *QUICK
    person.types(*run, "--limit", "3")
    first = person.types("export", RUN)
    person.types(*run)

    second = person.types("export", RUN)

    assert (first.code, first.out) == (0, f"{RUN}/export: 3 pictures copied, 13 not made\n")
    assert (second.code, second.out) == (0, f"{RUN}/export: 13 pictures copied, 3 there already\n")


def test_what_was_rejected_is_not_copied(copied):
    unwanted = copied.pictures(RUN)[0]
    assert copied.types("reject", RUN, unwanted.name).code == 0

    said = copied.types("export", RUN)

    assert said.out == f"{RUN}/export: 15 pictures copied, 1 rejected\n"
    assert unwanted.name not in files(copied.folder / RUN / "export")


def test_of_marked_pictures_those_are_copied_that_are_kept(copied):
    one, other, third, *_ = copied.pictures(RUN)
    marks = {
        images.record_in(one)["id"][:16]: {"verdict": "keep"},
        images.record_in(other)["id"][:16]: {"verdict": "reject"},
        images.record_in(third)["id"][:16]: {"verdict": None, "stars": 5},
    }
    copied.writes("marks.json", json.dumps({"batchgen": "marks", "format": 1, "run": "sweep", "marks": marks}))

    said = copied.types("export", RUN, "--marks", "marks.json")

    assert said.out == f"{RUN}/export: 1 picture copied\n", said.err
    assert set(files(copied.folder / RUN / "export")) == {one.name}


def test_marks_that_keep_nothing_export_nothing(copied):
    copied.writes("marks.json", json.dumps({"batchgen": "marks", "format": 1, "run": "sweep", "marks": {}}))

    said = copied.types("export", RUN, "--marks", "marks.json")

    assert said.code == 2
    assert said.err == "batchgen: marks.json: no picture is marked as kept\n"


def test_a_picture_of_two_places_lies_in_the_folders_of_both(person):
    person.writes(
        "twice.yaml", "set: {model: demo_shapes}\nprompts: [{prompt: x, name: one}, {prompt: x, name: two}]\n"
    )
    person.types("run", "twice.yaml", *QUICK)
    (picture,) = person.pictures("outputs/twice")

    said = person.types("export", "outputs/twice", "--by", "prompt")

    assert said.out == "outputs/twice/export: 2 pictures copied\n"
    assert set(files(person.folder / "outputs/twice/export")) == {f"one/{picture.name}", f"two/{picture.name}"}


def test_values_whose_folders_would_be_one_on_other_machines_have_two(person):
    person.writes("names.yaml", 'set: {model: demo_shapes}\nprompts: ["A fox", "a FOX!", "../..", "con", "☕"]\n')
    person.types("run", "names.yaml", *QUICK)

    said = person.types("export", "outputs/names", "--by", "prompt")

    assert said.code == 0, said.err
    folders = Counter(name.partition("/")[0] for name in files(person.folder / "outputs/names/export"))
    assert folders == {"A-fox": 1, "a-FOX~2": 1, "other": 1, "con-": 1, "other~2": 1}


def test_a_dry_run_tells_the_folders_and_writes_nothing(copied):
    said = copied.types("export", RUN, "--by", "sampler", "--dry-run")

    folders = f"{RUN}/export/euler: 8 pictures\n{RUN}/export/heun: 8 pictures\n"
    assert (said.code, said.out) == (0, f"{folders}{RUN}/export: 16 pictures would be copied\n")
    assert not (copied.folder / RUN / "export").exists()


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["--by", "smapler"], "unknown axis 'smapler'; did you mean 'sampler'?"),
        (["--into", RUN], "is a run directory"),
        (["--into", f"{RUN}/pictures/best"], "batchgen keeps files of its own in"),
        (["--into", f"{RUN}/export/../.batchgen/x"], "batchgen keeps files of its own in"),
    ],
)
def test_wrong_words_write_nothing(copied, words, wrong):
    before = files(copied.folder)

    said = copied.types("export", RUN, *words)

    assert said.code == 2
    assert wrong in said.err
    assert files(copied.folder) == before


def test_a_folder_without_a_run_is_no_run(person):
    said = person.types("export", ".")

    assert said.code == 2
    assert "no run directory" in said.err


@pytest.mark.parametrize("link", ["export", "export/euler"])
def test_links_that_came_with_a_run_directory_lead_no_copy_elsewhere(copied, tmp_path, link):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = copied.folder / RUN / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(elsewhere)

    said = copied.types("export", RUN, "--by", "sampler")

    assert said.code in (1, 2)
    assert "link" in said.err
    assert not files(elsewhere)


def test_a_full_disk_is_said_and_leaves_no_half_file(copied):
    """As if the disk had room for 1000 bytes: a picture of the fake engine has 12,000."""
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from batchgen.cli import main\n"
        f"sys.argv[1:] = ['export', {RUN!r}]\n"
        "main()\n"
    )

    said = copied.types_in(program)

    assert said.code == 75
    assert "make room and run the same command again" in said.err
    assert not files(copied.folder / RUN / "export")
