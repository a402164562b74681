"""Ways of asking, on the fake engine: what counts here is which pictures are asked for."""

import json

FAKE = "runtime.engine=fake"


def recipes(person, run):
    return [record["recipe"] for record in person.records(run)]


def test_words_with_several_values_add_axes_in_hydras_grammar(person):
    said = person.types("run", "--prompt", "a red circle", "sampler=euler,ddim", "steps=10,20", FAKE)

    assert said.code == 0, said.err
    found = {(each["sampler"], each["steps"]) for each in recipes(person, "outputs/adhoc")}
    assert found == {("euler", 10), ("euler", 20), ("ddim", 10), ("ddim", 20)}


def test_the_flag_of_hydras_multirun_changes_nothing(person):
    said = person.types("plan", "-m", "--prompt", "a red circle", "steps=1,2", FAKE, "--json")

    assert json.loads(said.out)["asked"] == 2


def test_a_word_for_an_axis_replaces_the_axis(person):
    person.writes("m.yaml", "prompts: [a red circle]\nsweep: {steps: [1, 2, 3]}\n")

    person.types("run", "m.yaml", "steps=7", FAKE)

    assert [each["steps"] for each in recipes(person, "outputs/m")] == [7]


def test_limit_renders_so_many_and_the_same_command_goes_on(person):
    words = ("run", "--prompt", "a red circle", "--seeds", "0..4", FAKE)

    first = person.types(*words, "--limit", "2")
    second = person.types(*words)

    assert first.code == 1
    assert "2 pictures made" in first.out
    assert "3 of 5 are missing" in first.out
    assert second.code == 0
    assert "3 pictures made" in second.out


def test_into_is_the_run_directory_itself(person):
    person.types("run", "--prompt", "a red circle", FAKE, "--into", "here")

    assert len(person.pictures("here")) == 1
    assert not (person.folder / "outputs").exists()


def test_two_manifests_go_into_two_directories(person):
    person.writes("a.yaml", "prompts: [a red circle]\n")
    person.writes("b.yaml", "name: second\nprompts: [a blue star]\n")

    said = person.types("run", "a.yaml", "b.yaml", FAKE)

    assert said.code == 0
    assert len(person.pictures("outputs/a")) == len(person.pictures("outputs/second")) == 1


def test_hostile_prompts_arrive_exactly_in_records_and_pictures(person, hostile_prompts):
    from batchgen.store import images

    person.writes("m.json", json.dumps({"prompts": list(hostile_prompts)}))

    said = person.types("run", "m.json", FAKE, SECRET="canary-4711")

    assert said.code == 0, said.err
    assert len(hostile_prompts) == 45
    assert {each["prompt"] for each in recipes(person, "outputs/m")} == set(hostile_prompts)
    in_pictures = {images.record_in(path)["recipe"]["prompt"] for path in person.pictures("outputs/m")}
    assert in_pictures == set(hostile_prompts)


def test_hostile_prompts_are_literal_on_the_command_line(person, hostile_prompts):
    # What a shell cannot pass (NUL) is not a prompt; everything else is.
    words = [word for prompt in hostile_prompts for word in ("--prompt", prompt)]

    said = person.types("run", *words, FAKE)

    assert said.code == 0, said.err
    assert {each["prompt"] for each in recipes(person, "outputs/adhoc")} == set(hostile_prompts)


def test_a_secret_of_the_environment_is_in_nothing_that_is_written(person):
    person.writes("m.yaml", "prompts: ['a ${oc.env:SECRET} circle']\n")

    said = person.types("run", "m.yaml", FAKE, "output.compression=1", SECRET="canary-4711")

    assert said.code == 0, said.err
    written = [path for path in person.folder.rglob("*") if path.is_file()]
    assert written
    assert not any(b"canary-4711" in path.read_bytes() for path in written)
    assert "canary-4711" not in said.out + said.err


def test_the_schema_describes_the_manifests_that_ship(person):
    said = person.types("schema")

    found = json.loads(said.out)
    assert {"prompts", "seeds", "sweep", "set", "compare"} <= found["properties"].keys()


def test_a_prompt_that_waits_in_a_second_run_of_the_same_directory_is_refused_while_the_first_runs(person):
    import fcntl

    person.types("run", "--prompt", "a red circle", FAKE)
    with (person.folder / "outputs/adhoc/.batchgen/lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = person.types("run", "--prompt", "a blue star", FAKE)
        before_its_sweep_is_expanded = person.types("run", "--prompt", "a star", "--seeds", "0..9", "--max-jobs", "1")

    assert said.code == before_its_sweep_is_expanded.code == 75
    assert "held by" in said.err


def test_a_rehearsal_with_the_fake_engine_never_counts_as_the_picture_itself(person):
    person.types("run", "--prompt", "a red circle", FAKE)

    said = person.types("plan", "--prompt", "a red circle", "--json")

    assert json.loads(said.out)["to_make"] == 1


def test_a_wrong_word_in_the_last_manifest_is_found_before_the_first_is_rendered(person):
    person.writes("good.yaml", "prompts: [a red circle]\n")
    person.writes("bad.yaml", "prompts: [a red circle]\nset: {sampler: eular}\n")

    said = person.types("run", "good.yaml", "bad.yaml", FAKE)

    assert said.code == 2
    assert not (person.folder / "outputs").exists()


def test_a_run_goes_on_when_nobody_reads_its_log_any_more(person):
    import os
    import subprocess
    import sys

    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "batchgen", "run", "--prompt", "a", "--seeds", "0..9", FAKE]
    done = subprocess.run(words, cwd=person.folder, stderr=write, stdout=subprocess.PIPE, check=False)
    os.close(write)

    assert done.returncode == 0
    assert len(person.pictures("outputs/adhoc")) == 10


def test_a_picture_that_was_damaged_does_not_cost_the_others_their_sheet(person):
    person.types("run", "--prompt", "a", "--seeds", "0..2", FAKE)
    damaged = person.pictures("outputs/adhoc")[0]
    damaged.write_bytes(b"\0" * damaged.stat().st_size)
    (person.folder / "outputs/adhoc/sheets/adhoc.png").unlink()

    said = person.types("run", "--prompt", "a", "--seeds", "0..2", FAKE)

    assert "Traceback" not in said.err
    assert (person.folder / "outputs/adhoc/sheets/adhoc.png").exists()


def test_a_word_longer_than_any_file_name_is_a_word(person):
    said = person.types("plan", "--prompt", "a red circle", f"negative_prompt='{'blurry ' * 60}'", FAKE, "--json")

    assert said.code == 0, said.err


def test_a_picture_keeps_the_name_it_was_first_given(person):
    person.types("run", "--prompt", "a red circle", "steps=2", FAKE)
    (first,) = person.pictures("outputs/adhoc")
    first.unlink()

    person.types("run", "--prompt", "a red circle", "steps=2,3", FAKE)

    assert first in person.pictures("outputs/adhoc")
    assert len(person.pictures("outputs/adhoc")) == 2


def test_a_device_that_is_not_there_is_said_in_one_line_and_not_tried_again(person):
    import torch

    if torch.cuda.is_available():
        return

    said = person.types("run", "--prompt", "a red circle", "runtime=cuda")

    assert said.code == 1
    assert "runtime.device cuda" in said.out
    assert "tried" not in said.out + said.err
    assert "EngineError" not in said.out + said.err
