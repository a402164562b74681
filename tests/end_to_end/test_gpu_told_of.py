"""What a run does with what the driver of a GPU tells: too hot, too small. The GPU is a program that prints."""

import pytest

FAKE = "runtime.engine=fake"
ASK = ("run", "--prompt", "a heron", "--seeds", "0..1", "output.sheets=false")


def test_a_run_begins_nothing_while_the_gpu_is_too_hot_says_so_and_goes_on_when_it_has_cooled(person, nvidia_smi):
    hot, cool = (f"24576, 20000, {degrees}, a GPU" for degrees in (86, 75))
    nvidia_smi.says(hot)
    # It is asked once before anything begins, once for the first batch, and then again and again.
    program = nvidia_smi.folder / "nvidia-smi"
    program.write_text(
        f'#!/bin/sh\necho asked >> "{nvidia_smi.folder}/asked"\n'
        f'[ "$(wc -l < "{nvidia_smi.folder}/asked")" -lt 3 ] && echo "{hot}" || echo "{cool}"\n'
    )

    said = person.types(*ASK, FAKE, "runtime.max_gpu_temperature=80", PATH=nvidia_smi.path)

    assert said.code == 0, said.err
    lines = said.err.splitlines()
    assert lines.count("waiting: GPU at 86 degrees, limit 80") == 1
    assert len(person.pictures("outputs/adhoc")) == 2
    assert len((nvidia_smi.folder / "asked").read_text().splitlines()) == 3


def test_a_gpu_that_is_cool_holds_nothing_up(person, nvidia_smi):
    said = person.types(*ASK, FAKE, "runtime.max_gpu_temperature=80", PATH=nvidia_smi.path)

    assert said.code == 0, said.err
    assert "waiting" not in said.err


@pytest.mark.parametrize("command", [ASK, ("reproduce", "outputs/adhoc")])
def test_a_limit_that_cannot_be_held_is_refused_before_anything_is_rendered(person, nvidia_smi, command):
    person.types(*ASK, FAKE, "--into", "outputs/adhoc", "--limit", "1")
    nvidia_smi.says("24576, 20000, [N/A], a GPU")
    before = sorted((person.folder / "outputs").rglob("*"))

    said = person.types(*command, FAKE, "runtime.max_gpu_temperature=80", PATH=nvidia_smi.path)

    assert said.code == 2
    assert said.err.startswith("batchgen: runtime.max_gpu_temperature=80: no temperature of a GPU can be read here")
    assert sorted((person.folder / "outputs").rglob("*")) == before


def test_a_model_that_the_gpu_cannot_hold_is_refused_before_it_is_loaded(person, nvidia_smi):
    nvidia_smi.says("1, 1, 40, a tiny GPU")

    said = person.types(*ASK, "runtime=cuda", PATH=nvidia_smi.path)

    assert said.code == 2
    assert "model demo_shapes: its weights take " in said.err
    assert "in fp16, and the GPU's memory has 1.0 MB; runtime.memory=offload takes a part at a time" in said.err
    assert "loading" not in said.err
    assert not (person.folder / "outputs/adhoc/.batchgen/worker.log").exists()


def test_doctor_tells_of_heat_and_memory(person, nvidia_smi):
    nvidia_smi.says("24576, 20, 86, a full GPU")

    said = person.types("doctor", "runtime=cuda", "runtime.max_gpu_temperature=80", PATH=nvidia_smi.path)

    assert "warning  temperature: GPU at 86 degrees, limit 80: a run waits until it has cooled" in said.out
    assert "ok       memory for demo_shapes: its weights take " in said.out
