"""Jobs of every kind, to JSON and back. An id must not change with a new version: pictures are found by it."""

import json
from functools import reduce
from hashlib import sha256
from operator import or_

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import StoreError
from batchgen.job import UPSCALER, File, Job, Lora, Model, Stage, make_job
from batchgen.parts import UNSAMPLED, Canvas, Start, Text
from batchgen.recipe import Found, files_of, located, models_of, read_recipe
from batchgen.store.record import job_of

TOY = Model(digest="ab" * 32, family="sd15", name="toy", path="/models/toy")
SHARP = Model(digest="cd" * 32, family=UPSCALER, name="sharp", path="/models/sharp.pth")
PLAIN = {
    "prompt": "a heron",
    "seed": 7,
    "width": 64,
    "height": 48,
    "sampler": "euler",
    "schedule": "normal",
    "steps": 3,
    "guidance_scale": 2.0,
}


def file(name):
    return File(digest=sha256(name.encode()).hexdigest(), name=name, path=f"/files/{name}")


FILES = [file(name) for name in "abcde"]


def found_for(job):
    return Found(
        models={model.digest: model for model in models_of(job)}, files={each.digest: each for each in files_of(job)}
    )


def there_and_back(job):
    return read_recipe(json.loads(json.dumps(dict(job.recipe))), found_for(job))


scales = st.floats(-4, 4)
files = st.sampled_from(FILES)
starts = {
    "strength": st.floats(0, 1, exclude_min=True),
    "resize": st.sampled_from(["crop", "stretch", "pad"]),
    "resize_filter": st.sampled_from(["nearest", "lanczos"]),
    "mask_alpha": st.booleans(),
    "mask_grow": st.integers(0, 512),
    "mask_blur": st.integers(0, 512),
    "mask_padding": st.none() | st.integers(0, 4096),
    "mask_paste": st.booleans(),
    "mask_content": st.sampled_from(["original", "neutral"]),
    "noise": st.sampled_from(["cpu", "nv"]),
    "noise_index": st.integers(0, 4095),
    "noise_rows": st.integers(1, 4096),
}
loras = st.lists(st.builds(Lora, file=files, scale=scales, clip_scale=scales), max_size=3).map(tuple)


def denoised(sources):
    return st.builds(
        lambda prompt, seed, *some: make_job(TOY, reduce(or_, some, PLAIN | {"prompt": prompt, "seed": seed})),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.integers(0, 2**64 - 1),
        st.fixed_dictionaries({}, optional=starts),
        st.just({}) | st.fixed_dictionaries({"init_image": sources}, optional={"mask_image": sources}),
        st.fixed_dictionaries(
            {},
            optional={
                "loras": loras,
                "vae": files,
                "embeddings": st.lists(files, max_size=2).map(tuple),
            },
        ),
    )


def upscaled(sources):
    canvas = st.builds(Canvas, width=st.integers(8, 99), height=st.integers(8, 99))
    return st.builds(
        lambda source, canvas: Job(
            model=SHARP, text=Text(prompt=""), canvas=canvas, sampling=UNSAMPLED, seed=0, init_image=source
        ),
        sources,
        canvas,
    )


jobs = st.recursive(
    denoised(files),
    lambda inner: denoised(files | st.builds(Stage, job=inner)) | upscaled(files | st.builds(Stage, job=inner)),
    max_leaves=4,
)


@given(jobs)
def test_any_job_comes_back_from_its_recipe(job):
    again = there_and_back(job)
    assert again == job
    assert again.id == job.id
    assert [each.path for each in again.files] == [each.path for each in job.files]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, "78355a1d90f56167d4854b9c23f4fb14a93c451f456e540b5f4eee5e3d0d4b2c"),
        (
            {
                "negative_prompt": "blurry, (bad:1.2)",
                "emphasis": "a1111",
                "clip_skip": 2,
                "seed": 2**64 - 1,
            },
            "71e897e6b413bc76371b1ebe1c380e9b6b46c8bc039fc71d31e8a4f4d019914a",
        ),
        (
            {
                "distilled_guidance": 3.5,
                "precision": "bf16",
                "rounding": "truncate",
                "sampler": "dpmpp_2m",
                "schedule": "karras",
                "prompt": "ein Reiher – \u2603",
            },
            "d033cc64058f27006f7c00e83017b6933713892b3b3e0c073e04fbeacb45d2c6",
        ),
    ],
)
def test_ids_of_plain_jobs_are_those_of_the_first_version(fields, wanted):
    assert make_job(TOY, PLAIN | fields).id == wanted


def test_names_and_paths_are_in_no_id_and_contents_are():
    def job(name, digest="1", scale=0.8):
        lora = Lora(file=File(digest=digest, name=name, path=f"/{name}"), scale=scale)
        return make_job(TOY, PLAIN | {"loras": (lora,), "init_image": File(digest="2", name=name)})

    assert job("a").id == job("b").id
    assert len({job("a").id, job("a", "3").id, job("a", scale=0.7).id, make_job(TOY, PLAIN).id}) == 4


def test_a_second_stage_has_another_id_for_every_first_one_and_keeps_it_where_its_picture_lies():
    first, other = make_job(TOY, PLAIN), make_job(TOY, PLAIN | {"seed": 8})
    second = make_job(TOY, PLAIN | {"init_image": Stage(job=first), "strength": 0.5})
    moved = located(second, {first.id: "/run/pictures/x.png"})
    assert moved.init_image.path == "/run/pictures/x.png"
    assert moved.id == second.id
    assert make_job(TOY, PLAIN | {"init_image": Stage(job=other), "strength": 0.5}).id != second.id
    assert second.first is first
    assert second.stages == (first,)


def test_the_recipe_of_an_upscaling_says_nothing_of_sampling():
    job = Job(
        model=SHARP,
        text=Text(prompt=""),
        canvas=Canvas(width=64, height=48),
        sampling=UNSAMPLED,
        seed=0,
        init_image=FILES[0],
    )
    assert dict(job.recipe) == {
        "model": SHARP.digest,
        "seed": 0,
        "width": 64,
        "height": 48,
        "init_image": {"sha256": FILES[0].digest},
    }


NONSENSE = [None, 5, "x", [], [[]], {}, {"sha256": 5}, {"sha256": []}, {"sha256": "0"}, {"recipe": 5}, {"recipe": []}]
SCALES = [None, "0.5", "nan", True, [], 1e999]


@pytest.mark.parametrize("value", [*NONSENSE, {"recipe": {}}, {"recipe": {"model": []}}, {"recipe": None}], ids=repr)
@pytest.mark.parametrize("name", ["init_image", "mask_image", "vae", "loras", "embeddings"])
@pytest.mark.parametrize("deep", [False, True])
def test_nonsense_in_a_stranger_s_recipe_is_an_error_and_no_traceback(name, value, deep):
    if name in ("loras", "embeddings") and value == []:
        return
    recipe = {**make_job(TOY, PLAIN).recipe, name: value}
    if deep:
        recipe = {**make_job(TOY, PLAIN).recipe, "init_image": {"recipe": recipe}}
    with pytest.raises(StoreError) as said:
        job_of({"id": "0" * 64, "recipe": recipe}, Found(models={TOY.digest: TOY}, files={}))
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_that_is_no_number_is_refused(scale):
    lora = {"sha256": FILES[0].digest, "scale": scale, "clip_scale": 1.0}
    recipe = {**make_job(TOY, PLAIN).recipe, "loras": [lora]}
    with pytest.raises(ValueError, match=r"^loras: a scale is a number"):
        read_recipe(recipe, Found(models={TOY.digest: TOY}, files={FILES[0].digest: FILES[0]}))


def test_an_upscaler_without_a_picture_is_refused():
    with pytest.raises(ValueError, match="an upscaler or a mask needs it"):
        read_recipe(
            {"model": SHARP.digest, "seed": 0, "width": 64, "height": 64},
            Found(models={SHARP.digest: SHARP}, files={}),
        )


def test_neutral_values_of_a_beginning_are_left_out():
    job = make_job(TOY, PLAIN | {"init_image": FILES[0], "strength": 1.0, "resize": "crop"})
    assert job.recipe.keys() == {*make_job(TOY, PLAIN).recipe, "init_image"}
    assert job.start == Start()
