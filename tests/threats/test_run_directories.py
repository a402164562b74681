"""Run directories in which nothing is what it says: pipes, devices, links, files that are damaged or far too large."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from batchgen.cli import app
from batchgen.compare.clips import remove_other_videos
from batchgen.compare.layout import Page, Shown
from batchgen.compare.printing import remove_others
from batchgen.compare.sheet import Sheet, write
from batchgen.engine import Latent, Together
from batchgen.errors import StoreError, UsageError
from batchgen.job import Model, make_job
from batchgen.run.batches import kept_batch
from batchgen.store.held import hold
from batchgen.store.latents import KeptLatents
from batchgen.store.layout import RunDirectory
from batchgen.store.publish import write_atomic
from batchgen.store.record import stands_for
from batchgen.store.verify import verify

FILES = ["lock", "journal", "worker_log", "plan", "manifest", "settings"]
MIB = 2**20


@pytest.fixture(autouse=True)
def _nothing_is_waited_for():
    """Whoever opens a pipe that nobody writes to is woken after two minutes, and the test fails."""

    def wake(*_):
        pytest.fail("something is waited for that never comes")

    before = signal.signal(signal.SIGALRM, wake)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def directory(tmp_path):
    made = RunDirectory(tmp_path / "run")
    made.create()
    return made


@pytest.fixture
def thesis(tmp_path):
    """A file of the person, which nothing may change."""
    path = tmp_path / "thesis.txt"
    path.write_bytes(b"years of work")
    return path


@pytest.fixture
def damaged(directory):
    """Return what a command answers about the run directory."""

    def answer(*words):
        found = CliRunner().invoke(app, words, standalone_mode=False).exception
        assert isinstance(found, UsageError), found
        assert "\n" not in str(found)
        return str(found)

    return answer


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_in_place_of_a_file_is_refused_before_it_is_opened_and_verify_tells_of_it(directory, name):
    path = getattr(directory, name)
    os.mkfifo(path)

    with pytest.raises(UsageError, match="is no file") as refused, hold(directory):
        pass
    (finding,) = [each for each in verify(directory).findings if each.file == path]

    assert refused.value.where == str(path)
    assert finding.kind == "altered"
    assert "is no file" in finding.what


@pytest.mark.parametrize("name", ["plan", "manifest", "settings"])
def test_a_link_to_a_device_is_refused_before_it_is_opened(directory, name):
    getattr(directory, name).symlink_to("/dev/null")

    with pytest.raises(UsageError, match="is no file"), hold(directory):
        pass


def test_a_link_to_itself_in_place_of_a_plan_is_a_finding(directory):
    directory.plan.symlink_to(directory.plan)

    assert [(each.kind, each.file) for each in verify(directory).findings] == [("altered", directory.plan)]


@pytest.mark.parametrize("words", [("status", "run"), ("verify", "run"), ("run", "m.json", "--into", "run")])
def test_no_command_waits_for_a_pipe_in_place_of_the_journal(person, words):
    directory = RunDirectory(person.folder / "run")
    directory.create()
    directory.plan.write_text('{"batch": 1, "jobs": []}')
    os.mkfifo(directory.journal)
    person.writes("m.json", '{"set": {"model": "demo_shapes"}, "prompts": ["x"]}')

    said = person.types(*words, *(["runtime.engine=fake"] if "m.json" in words else []))

    assert said.returncode == (1 if "verify" in words else 2)
    assert "journal.jsonl: is no file" in said.stdout + said.stderr
    assert "Traceback" not in said.stderr


def test_a_pipe_in_place_of_a_record_is_none_of_any_picture(tmp_path):
    os.mkfifo(tmp_path / "a.json")

    assert stands_for(tmp_path / "a.json", "ab" * 32)


@pytest.mark.parametrize(
    "text",
    [b"[]", b"{}", b'{"jobs": 3}', b'{"jobs": [[1]]}', b'{"jobs": [3]}', b"[" * 100_000, b"\0", b"\xff", b""],
    ids=lambda text: repr(text[:20]),
)
def test_a_plan_that_no_run_wrote_is_answered_in_one_line(damaged, directory, text):
    directory.plan.write_bytes(text)

    assert "plan.json: is not as a run wrote it" in damaged("status", str(directory.root))
    assert kept_batch(directory) is None


@pytest.mark.parametrize("batch", [10**9, 1025, True, 1.5, "8", -1])
def test_a_batch_that_no_run_chose_is_not_kept(directory, batch):
    directory.plan.write_text(json.dumps({"batch": batch, "jobs": []}))

    assert kept_batch(directory) is None


def test_a_record_of_any_size_is_not_shown(damaged, directory):
    path = directory.record("ab" * 32)
    with path.open("wb") as out:
        out.truncate(65 * MIB)

    assert "too large" in damaged("show", str(path))


@pytest.fixture
def sheet(tmp_path):
    page = Page(title="", x="", y="", columns=("",), rows=("",), cells=((Shown(coordinates={}, picture=None),),))
    return Sheet(path=tmp_path / "s.png", page=page, cell=(160, 160), title="demo")


@pytest.mark.parametrize("name", [".s.png.part", f"{os.getpid()}-s.png", "s.png"])
def test_a_sheet_is_never_written_through_a_link(tmp_path, thesis, sheet, name):
    (tmp_path / name).symlink_to(thesis)

    write(sheet)

    assert thesis.read_bytes() == b"years of work"
    assert sheet.path.read_bytes().startswith(b"\x89PNG")
    assert not sheet.path.is_symlink()


def test_a_link_to_a_sheet_that_shows_the_same_is_replaced_by_a_sheet(tmp_path, sheet):
    elsewhere = tmp_path / "elsewhere.png"
    write(replace(sheet, path=elsewhere))
    sheet.path.symlink_to(elsewhere)

    write(sheet)

    assert not sheet.path.is_symlink()
    assert elsewhere.exists()


def test_a_pipe_in_place_of_a_sheet_is_not_waited_for(tmp_path, sheet):
    os.mkfifo(tmp_path / "s.png")
    others = [tmp_path / f"other{suffix}" for suffix in (".png", ".jpg", ".webp", ".mp4")]
    for other in others:
        os.mkfifo(other)

    write(sheet)
    remove_others(tmp_path, [sheet.path])
    remove_other_videos(tmp_path, [sheet.path])

    assert sheet.path.is_file()
    assert all(other.is_fifo() for other in others)


def test_a_sheet_that_cannot_be_written_is_said_in_words(sheet):
    sheet.path.mkdir()

    with pytest.raises(StoreError, match="cannot write"):
        write(sheet)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to(path.parent.parent.parent / "thesis.txt")])
def test_a_file_that_is_written_whole_replaces_what_is_no_file_and_changes_nothing_behind_a_link(
    directory, thesis, make
):
    make(directory.hidden / "x")

    write_atomic(directory.hidden / "x", b"new", directory.tmp)

    assert (directory.hidden / "x").read_bytes() == b"new"
    assert not (directory.hidden / "x").is_symlink()
    assert thesis.read_bytes() == b"years of work"


def test_a_latent_is_never_kept_through_a_link(directory, thesis):
    recipe = {"prompt": "x", "seed": 0, "width": 64, "height": 64, "sampler": "euler", "schedule": "normal"}
    model = Model(digest="0" * 64, family="sd15", name="toy", path="toy")
    job = make_job(model, recipe | {"steps": 3, "guidance_scale": 2.0})
    (directory.tmp / f"{os.getpid()}-latent-{job.id[:12]}").symlink_to(thesis)
    latent = Latent(values=np.zeros((4, 8, 8), np.float32), facts={}, together=Together(ids=(job.id,), index=0))

    KeptLatents(directory, "e" * 64, least=1).keep(job, latent)

    assert thesis.read_bytes() == b"years of work"
