"""How a run ends, and what is found in the morning: on the fake engine."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

FAKE = "runtime.engine=fake"
ASK = ("run", "--prompt", "a heron", "--seeds", "0..7", FAKE)


def summary(person, run="outputs/adhoc"):
    return json.loads((person.folder / run / "summary.json").read_text(encoding="utf-8"))


SHOWN = "look at outputs/adhoc/gallery/index.html, outputs/adhoc/sheets/adhoc.png and outputs/adhoc/summary.json"


def faults(*asked):
    return {"BATCHGEN_FAKE_FAULTS": json.dumps({"faults": asked})}


def test_the_closing_lines_say_what_was_made_how_long_it_took_and_where_to_look(person):
    said = person.types(*ASK, "output.sheets=false", "output.gallery=false")

    assert said.code == 0, said.err
    first, place = said.out.splitlines()
    assert re.fullmatch(r"outputs/adhoc: 8 pictures made in \d+ s", first)
    assert place == "look at outputs/adhoc/pictures and outputs/adhoc/summary.json"
    assert (summary(person)["made"], summary(person)["ended"]) == (8, "complete")


def test_pictures_that_failed_are_named_with_the_reason_by_the_name_they_would_have(person):
    said = person.types(*ASK, **faults({"do": "error", "seed": 3}))

    assert said.code == 1
    (line,) = [line for line in said.out.splitlines() if line.startswith("failed: ")]
    assert re.fullmatch(r"failed: a-heron_s3_[0-9a-f]{8}: tried 3 times; asked to fail: error", line)
    assert "7 pictures made, 1 failed" in said.out
    assert "; 1 of 8 is missing, run the same command again" in said.out
    assert said.out.splitlines()[-1].endswith("outputs/adhoc/summary.json and outputs/adhoc/.batchgen/worker.log")
    assert [each["name"] for each in summary(person)["failed"]] == [line.split(": ")[1]]


def test_of_many_that_failed_a_few_are_named_and_the_rest_is_counted(person):
    said = person.types(*ASK, **faults({"do": "error"}))

    lines = [line for line in said.out.splitlines() if line.startswith("failed: ")]
    assert len(lines) == 6
    assert lines[-1] == "failed: 3 more, named in outputs/adhoc/summary.json"
    assert len(summary(person)["failed"]) == 8


def test_sheets_are_in_the_summary_as_paths_inside_the_run_directory(person):
    person.types(*ASK)

    sheets = summary(person)["sheets"]
    assert sheets
    assert all((person.folder / "outputs/adhoc" / sheet).is_file() for sheet in sheets)


def test_a_run_for_a_time_stops_cleanly_and_the_same_command_goes_on(person):
    """The third batch takes so long that the time is over before the last ones can be begun, on any machine."""
    slow = faults({"do": "sleep", "value": 8_000, "seed": 2})

    first = person.types(*ASK, "steps=1", "runtime.batch=1", "--for", "1s", **slow)
    left = summary(person)["left"]
    second = person.types(*ASK, "steps=1", "runtime.batch=1")

    assert first.code == 1, first.err
    assert f"{left} left in" in first.out
    assert f"stopped at its time, {left} of 8 are missing" in first.out
    assert left > 0
    assert second.code == 0
    assert summary(person)["made"] == left


def test_a_time_that_nobody_can_read_is_refused_before_anything_is_rendered(person):
    wrong = [(("--for", "8"), "8h, 90min"), (("runtime.stop_at=25:00",), "time of day in quotes")]

    for words, right in wrong:
        said = person.types(*ASK, *words)
        assert said.code == 2
        assert right in said.err
    assert not (person.folder / "outputs").exists()


def test_a_disk_without_room_is_told_of_before_a_model_is_loaded(person):
    said = person.types("run", "--prompt", "a heron", "--seeds", "0..99999", "size=16384x16384", FAKE)

    assert said.code == 75
    assert re.search(r"outputs/adhoc: 100,000 pictures need about 80\.5 TB and .* are free; make room", said.err)
    assert "loading" not in said.err
    assert person.pictures("outputs/adhoc") == []


def waits_until(condition):
    """Wait as long as it takes; a test that waits for ever is ended by whoever runs it."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def stopped(person):
    """Somebody who types a command, and sends it signals after its first picture."""

    def stop(*words, number=signal.SIGINT, times=1):
        words = (sys.executable, "-m", "batchgen", *words, "steps=3", "runtime.batch=1")
        environment = os.environ | {"HOME": str(person.folder)} | faults({"do": "sleep", "value": 400})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(words, cwd=person.folder, env=environment, **pipes) as child:
            waits_until(lambda: any(person.folder.glob("outputs/*/pictures/*.png")))
            for _ in range(times):
                child.send_signal(number)
                time.sleep(0.2)  # two at once would be one
            out, err = child.communicate(timeout=120)
        return child.returncode, out.splitlines(), err

    return stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_the_first_interrupt_there_are_sheets_closing_lines_and_a_summary(person, stopped, number):
    code, out, err = stopped(*ASK, number=number)

    assert code == 130, err
    told = summary(person)
    made = len(person.pictures("outputs/adhoc"))
    assert (told["ended"], told["made"], told["left"]) == ("interrupted", made, 8 - made)
    counts, where = out
    assert re.match(rf"outputs/adhoc: {made} pictures? made, {8 - made} left in \d+ s; interrupted, ", counts)
    assert where == SHOWN
    assert (person.folder / "outputs/adhoc/sheets/adhoc.png").is_file()
    assert not err.splitlines()[-1].startswith("batchgen:")


def test_the_second_interrupt_leaves_at_once_and_tells_nobody(person, stopped):
    code, out, err = stopped(*ASK, "on_finish.command='sh -c \"touch told\"'", times=2)

    assert code == 130
    assert out == []
    assert "stopped at once" in err
    assert summary(person)["ended"] == "interrupted"
    assert not (person.folder / "outputs/adhoc/told").exists()


def test_after_an_interrupt_no_other_manifest_is_begun(person, stopped):
    for name in ("one", "two"):
        person.writes(f"{name}.yaml", "prompts: [a heron]\nseeds: 0..3\n")

    code, out, _ = stopped("run", "one.yaml", "two.yaml", FAKE)

    assert code == 130
    assert out[-1] == "outputs/two: not begun"
    assert not (person.folder / "outputs/two").exists()


def test_what_a_limit_leaves_is_told_of(person):
    said = person.types(*ASK, "--limit", "3")

    assert said.code == 1
    assert "3 pictures made, 5 left in" in said.out
    assert "; 5 of 8 are missing, run the same command again" in said.out
    assert (summary(person)["ended"], summary(person)["left"]) == ("some are missing", 5)
    counts, where = person.types(*ASK).out.splitlines()
    assert re.fullmatch(r"outputs/adhoc: 5 pictures made in \d+ s; all 8 are there", counts)
    nothing, same = person.types(*ASK).out.splitlines()
    assert nothing == "outputs/adhoc: nothing to do, all 8 pictures are there"
    assert same == where == SHOWN


def test_a_run_that_an_error_ends_has_closing_lines_too(person):
    """A limit on the size of files stands for the disk."""
    program = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))"
    words = [*ASK, "size=256x256", "output.compression=0", "output.sheets=false"]

    said = person.types_in(f"{program}; from batchgen.cli import main; main()", *words)

    assert said.code == 75, said.err
    counts, where = said.out.splitlines()
    assert re.search(r"0 pictures made, 8 left in \d+ s; ended by an error, 8 of 8 are missing", counts)
    assert where == "look at outputs/adhoc/summary.json"
    assert "File too large" in summary(person)["ended"]


def test_pictures_are_made_again_only_where_there_is_room(person):
    person.types(*ASK, "--limit", "1")
    full = "import shutil; was = shutil.disk_usage; shutil.disk_usage = lambda path: was(path)._replace(free=0)"

    said = person.types_in(f"{full}; from batchgen.cli import main; main()", "reproduce", "outputs/adhoc", FAKE)

    assert said.code == 75
    assert "1 pictures need about" in said.err
    assert not (person.folder / "outputs/reproduced").exists()
