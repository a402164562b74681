"""Wrong words: one line, exit 2, nothing rendered."""

import pytest

MANIFEST = "set: {model: demo_shapes}\nprompts: [a red circle]\n"

WRONG_WORDS = {
    "an unknown sampler": (["sampler=dpmp_2m"], ["dpmp_2m", "did you mean 'dpmpp_2m'"]),
    "a web UI's name of a sampler": (["sampler=Euler a"], ["euler_ancestral"]),
    "an unknown schedule": (["schedule=karas"], ["karas", "karras"]),
    "an unknown field": (["stepps=4"], ["stepps", "steps"]),
    "ComfyUI's word for a field": (["cfg=4"], ["guidance_scale"]),
    "a seed too large": (["seed=18446744073709551616"], ["seed", "18446744073709551615"]),
    "a seed of -1": (["--seeds", "-1"], ["-1"]),
    "no steps": (["steps=0"], ["steps", "1"]),
    "a width the model cannot make": (["width=63", "height=64"], ["63", "8", "56", "64"]),
    "an unknown model": (["model=demo_shape"], ["demo_shape", "demo_shapes"]),
    "a model that would be a path": (["model=../../etc/passwd"], ["../../etc/passwd"]),
    "a batch size": (["batch_size=4"], ["seeds"]),
    "an unknown setting": (["runtime.devise=cpu"], ["devise", "device"]),
    "an unknown device": (["runtime.device=gpu"], ["gpu", "cuda"]),
}


@pytest.mark.parametrize("case", WRONG_WORDS)
def test_a_wrong_word_on_the_command_line_is_answered_in_one_line(person, case):
    words, expected = WRONG_WORDS[case]
    person.writes("m.yaml", MANIFEST)

    said = person.types("run", "m.yaml", *words)

    assert said.code == 2
    assert len(said.err.strip().splitlines()) == 1, said.err
    for word in expected:
        assert word in said.err
    assert not (person.folder / "outputs").exists()


WRONG_MANIFESTS = {
    "empty": ("", []),
    "without prompts": ("set: {model: demo_shapes}\n", ["prompts"]),
    "with an unknown key": ("prompts: [a]\npromts: [b]\n", ["m.yaml:2", "promts", "prompts"]),
    "with a sampler that is none": (
        "prompts: [a]\nsweep:\n  sampler: [euler, eular]\n",
        ["m.yaml:3", "eular", "euler"],
    ),
    "with steps 0": ("set: {steps: 0}\nprompts: [a]\n", ["m.yaml:1", "steps"]),
    "with a seed as 1e3": ("prompts: [a]\nseeds: 1e3\n", ["m.yaml:2", "1e3"]),
    "with a seed of 2^64": ("prompts:\n- {prompt: a, seed: 18446744073709551616}\n", ["m.yaml:2", "seed"]),
    "with -1 as seed": ("prompts: [a]\nseeds: [-1]\n", ["m.yaml:2", "-1"]),
    "with a batch size": ("set: {batch_size: 4}\nprompts: [a]\n", ["m.yaml:1", "seeds"]),
    "with a key twice": ("prompts: [a]\nprompts: [b]\n", ["m.yaml:2", "prompts"]),
    "with an alias": ("prompts: [&a x, *a]\n", ["m.yaml:1"]),
    "with a tag": ("prompts: !!python/object/apply:os.system [ls]\n", ["m.yaml:1"]),
    "with a missing prompt file": ("prompts:\n- {file: nowhere.txt}\n", ["m.yaml:2", "nowhere.txt"]),
    "with a broken table": ("prompts:\n- {file: broken.csv}\n", ["broken.csv:2"]),
    "with a device": ("prompts: [a]\nruntime: {device: cuda}\n", ["m.yaml:2", "runtime"]),
    "with an axis nobody uses": ("prompts: [a]\nsweep: {colour: [red, blue]}\n", ["m.yaml:2", "colour"]),
    "that compares along no axis": ("prompts: [a]\ncompare: {x: stepz}\n", ["m.yaml:2", "stepz"]),
}


@pytest.mark.parametrize("case", WRONG_MANIFESTS)
def test_a_wrong_manifest_is_answered_in_one_line_that_names_the_place(person, case):
    text, expected = WRONG_MANIFESTS[case]
    person.writes("m.yaml", text)
    person.writes("broken.csv", 'prompt,seed\n"a red circle,1\na blue star,2\n')

    said = person.types("run", "m.yaml")

    assert said.code == 2
    assert len(said.err.strip().splitlines()) == 1, said.err
    for word in expected:
        assert word in said.err
    assert not (person.folder / "outputs").exists()


def test_a_model_that_is_not_on_this_machine_is_named_with_where_it_was_looked_for_and_how_to_get_it(person):
    said = person.types("run", "--prompt", "a red circle", "model=realvisxl_v30_turbo")

    assert said.code == 2
    assert len(said.err.strip().splitlines()) == 1
    assert "realvisxl_v30_turbo" in said.err
    assert "paths.models" in said.err
    assert "models" in said.err


def test_a_manifest_that_is_not_there_is_named_with_those_that_are(person):
    said = person.types("run", "demoo")

    assert said.code == 2
    assert "did you mean 'demo'" in said.err


def test_two_times_ten_to_the_ten_jobs_are_counted_at_once_and_refused_with_the_flag_that_raises_the_limit(person):
    person.writes("m.yaml", "prompts: [a red circle]\nseeds: {count: 20000000000}\n")

    said = person.types("plan", "m.yaml")

    assert said.code == 2
    assert "20,000,000,000" in said.err
    assert "--max-jobs" in said.err
