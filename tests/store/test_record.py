import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import StoreError
from batchgen.parts import MAX_SEED
from batchgen.recipe import Found
from batchgen.store.record import MAX_BYTES, Asked, build, job_of, read, to_text

anything = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)


@given(
    prompt=anything,
    negative=anything,
    seed=st.integers(0, MAX_SEED),
    guidance=st.floats(0, 1000, allow_nan=False),
    steps=st.integers(1, 1000),
)
def test_from_a_record_comes_the_very_job(build_, prompt, negative, seed, guidance, steps):
    job = build_.job(seed, prompt=prompt, negative_prompt=negative, guidance_scale=guidance, steps=steps)

    again = job_of(read(build_.text(job).encode(), "here"), found(build_.model))

    assert again == job
    assert again.id == job.id


def found(model):
    return Found(models={model.digest: model}, files={})


def test_name_and_note_are_kept(build_):
    job = build_.job()
    record = build(Asked(job=job, name="SH020", note="for the cover"), build_.making(job), 0, {}, {})

    assert (record["name"], record["note"]) == ("SH020", "for the cover")
    assert record["manifest"] == {"name": "herons", "sha256": "f" * 64}


def test_a_record_names_no_folder_of_the_machine(build_):
    assert build_.model.path == "/home/somebody/models/toy"

    text = build_.text(build_.job())

    assert "somebody" not in text
    assert json.loads(text)["model"] == {"name": "toy", "family": "sd15", "digest": "0" * 64}


def test_what_the_program_says_of_the_batch_wins_over_what_the_engine_says(build_):
    job = build_.job()
    record = build(Asked(job=job), build_.making(job, batch=("a", "b")), 1, {"batch_size": 9, "device": "cpu"}, {})

    assert record["execution"]["batch_size"] == 2
    assert record["execution"]["batch_index"] == 1
    assert record["execution"]["device"] == "cpu"


def test_equal_environments_have_equal_ids(build_):
    job = build_.job()
    one, same, other = (
        build(Asked(job=job), build_.making(job, environment=environment), 0, {}, {})["env_id"]
        for environment in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3})
    )

    assert one == same != other


def test_an_engine_that_says_too_much_is_cut_and_the_prompt_is_not(build_):
    job = build_.job(prompt="x" * 900_000)

    record = json.loads(build_.text(job, sigmas=[0.5] * 100_000, device="cpu", tokens="t" * 300_000))

    assert record["execution"]["left_out"] == ["sigmas", "tokens"]
    assert record["execution"]["device"] == "cpu"
    assert record["recipe"]["prompt"] == job.text.prompt
    record["recipe"] = {}
    assert len(json.dumps(record)) < MAX_BYTES


def test_a_value_that_is_no_json_is_an_error(build_):
    with pytest.raises(ValueError, match="not JSON compliant"):
        build_.text(build_.job(), mean=float("nan"))


def changed(build_, **changes):
    return json.dumps(json.loads(build_.text(build_.job())) | changes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no record"),
        (b'{"recipe": 3}', "no record"),
        (b'{"recipe": {}, "schema": 99}', "this batchgen reads 1"),
        (b'{"recipe": {}, "schema": 1, "id": "00"}', "does not belong"),
        (b'{"recipe": {"prompt": "\\ud800"}, "schema": 1, "id": "00"}', "does not belong"),
    ],
)
def test_what_is_no_record_is_refused_in_words(data, message):
    with pytest.raises(StoreError, match=message):
        read(data, "here")


def test_an_altered_recipe_is_noticed(build_):
    recipe = json.loads(build_.text(build_.job()))["recipe"]

    with pytest.raises(StoreError, match="does not belong"):
        read(changed(build_, recipe=recipe | {"seed": 5}), "here")


def test_a_record_of_other_weights_gives_no_job(build_):
    record = read(build_.text(build_.job()), "here")

    with pytest.raises(StoreError, match="no model with the digest 0000"):
        job_of(record, found(dataclasses.replace(build_.model, digest="1" * 64)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"steps": 0}, "steps: must be"), ({"colour": 1}, "'colour'"), ({"sampler": None}, "sampler: must be")],
)
def test_a_recipe_with_wrong_fields_gives_no_job(build_, changes, message):
    record = json.loads(build_.text(build_.job()))
    record["recipe"] |= changes

    with pytest.raises(StoreError, match=message):
        job_of(record, found(build_.model))


def test_a_recipe_without_a_needed_field_gives_no_job(build_):
    record = json.loads(build_.text(build_.job()))
    del record["recipe"]["seed"]

    with pytest.raises(StoreError, match="seed"):
        job_of(record, found(build_.model))


def test_the_text_is_the_same_whenever_it_is_read_and_written(build_):
    text = build_.text(build_.job(prompt='é "quoted"\n\0'))

    assert to_text(read(text, "here")) == text


def test_a_recipe_of_any_depth_is_an_error_in_words():
    """Also where reading it only just succeeds, and writing it down for its id no longer does."""
    for depth in range(700, 1000):
        with pytest.raises(StoreError):
            read('{"schema": 1, "id": "x", "recipe": {"a": ' + "[" * depth + "]" * depth + "}}", "here")
