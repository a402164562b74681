"""How a run ends, and what is found in the morning: on the fake engine."""

import json
import re

FAKE = "runtime.engine=fake"
ASK = ("run", "--prompt", "a heron", "--seeds", "0..7", FAKE)


def summary(person, run="outputs/adhoc"):
    return json.loads((person.folder / run / "summary.json").read_text(encoding="utf-8"))


def faults(*asked):
    return {"BATCHGEN_FAKE_FAULTS": json.dumps({"faults": asked})}


def test_the_closing_lines_say_what_was_made_how_long_it_took_and_where_to_look(person):
    said = person.types(*ASK, "output.sheets=false")

    assert said.code == 0, said.err
    first, place = said.out.splitlines()
    assert re.fullmatch(r"outputs/adhoc: 8 pictures made in \d+ s", first)
    assert place == "outputs/adhoc/pictures"
    assert (summary(person)["made"], summary(person)["ended"]) == (8, "complete")


def test_pictures_that_failed_are_named_with_the_reason_by_the_name_they_would_have(person):
    said = person.types(*ASK, **faults({"do": "error", "seed": 3}))

    assert said.code == 1
    (line,) = [line for line in said.out.splitlines() if line.startswith("failed: ")]
    assert re.fullmatch(r"failed: a-heron_s3_[0-9a-f]{8}: tried 3 times; asked to fail: error", line)
    assert "7 pictures made, 1 failed" in said.out
    assert "1 of 8 are missing" in said.out
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
