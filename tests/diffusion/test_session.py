import gc
import weakref

import numpy as np
import pytest
import torch

from batchgen.diffusion.conditioning import Encoded
from batchgen.diffusion.engine import DiffusionEngine
from batchgen.diffusion.loading import scheduler_config
from batchgen.diffusion.session import DiffusionSession, places_by_length
from batchgen.diffusion.unet import UNetDenoiser
from batchgen.engine import Runtime
from batchgen.errors import EngineError, ModelError, NotFinite, OutOfMemory

LONG = "red cat on blue background " * 20


@pytest.fixture
def session(tiny, runtime):
    def of(family="sd15"):
        return DiffusionEngine(runtime).open(tiny(family))

    return of


@pytest.fixture
def jobs(tiny, job_for):
    def of(family="sd15", count=4, **fields):
        words = ["a red circle", "a blue square", "a cat, a dog", "green", "on background"]
        return [job_for(tiny(family), **({"prompt": words[k % 5], "seed": 100 + k} | fields)) for k in range(count)]

    return of


def quiet(step):
    pass


def loaded(session):
    """Have a session read its model, as its first batch would, and return the denoiser."""
    return session._in_precision("auto")


def pixels(session, jobs):
    return [rendered.pixels for rendered in session.render(jobs, quiet)]


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_a_picture_rendered_twice_alone_is_equal_bit_for_bit(session, jobs, family):
    (job,) = jobs(family, count=1)
    one, other = session(family), session(family)
    first = pixels(one, [job])[0]
    assert np.array_equal(first, pixels(one, [job])[0])
    assert np.array_equal(first, pixels(other, [job])[0])


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde", "heun"])
def test_alone_and_in_a_batch_of_four_a_picture_differs_by_at_most_one(session, jobs, sampler):
    here, batch = session(), jobs(sampler=sampler)
    together = pixels(here, batch)
    for job, picture in zip(batch, together, strict=True):
        alone = pixels(here, [job])[0].astype(int)
        assert np.abs(alone - picture).max() <= 1
    assert np.abs(together[0].astype(int) - together[1]).max() > 8


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_in_a_batch_of_one_size_bits_do_not_depend_on_the_neighbours_nor_on_the_place(session, jobs, family):
    here, batch = session(family), jobs(family, count=5)
    one = pixels(here, batch[:4])
    other = pixels(here, [batch[4], batch[2], batch[0], batch[4]])
    assert np.array_equal(one[0], other[2])
    assert np.array_equal(one[2], other[1])


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_neighbours_with_longer_prompts_change_no_bit(session, tiny, job_for, jobs, field):
    here, batch = session(), jobs(count=4)
    long = [job_for(tiny("sd15"), seed=k, **{field: LONG}) for k in range(2)]
    plain = pixels(here, batch)
    mixed = pixels(here, [long[0], batch[1], long[1], batch[3]])
    assert np.array_equal(plain[1], mixed[1])
    assert np.array_equal(plain[3], mixed[3])


def test_pictures_of_each_length_go_through_in_as_many_rows_as_the_batch_has(session, tiny, job_for, jobs):
    here, rows = session(), []
    loaded(here)._unet.register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[0]))
    mixed = [*jobs(count=3, steps=1), job_for(tiny("sd15"), steps=1, prompt=LONG)]
    rendered = here.render(mixed, quiet)
    # Three pictures and a copy with both texts at once; then one and three copies, for each of its two texts.
    assert rows == [8, 4, 4]
    assert [each.facts["batch_size"] for each in rendered] == [4, 4, 4, 4]


def test_a_prompt_and_a_negative_prompt_of_other_lengths_are_both_seen_whole(session, tiny, job_for):
    here = session()

    def picture(negative):
        return pixels(here, [job_for(tiny("sd15"), prompt="a cat", negative_prompt=negative)])[0].astype(int)

    assert np.abs(picture(LONG + "dog") - picture(LONG + "circle")).max() > 1


def test_repeating_a_text_as_comfyui_does_changes_nothing_but_rounding(session, tiny, job_for):
    """There, texts of other lengths are repeated to their least common multiple; attention cannot tell."""
    denoiser = loaded(session())
    job = job_for(tiny("sd15"))
    text = session()._ask(denoiser, job)[0]
    tripled = Encoded(states=text.states.repeat(1, 3, 1), tokens=text.tokens, chunks=3)
    latents = torch.randn((1, 4, 4, 4), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        once, thrice = (denoiser.predictor([each], job)(latents, 500.0) for each in (text, tripled))
    torch.testing.assert_close(once, thrice, rtol=1e-5, atol=1e-5)


def test_places_are_grouped_by_both_lengths_in_order():
    def encoded(length):
        return Encoded(states=torch.zeros(1, length, 1), tokens=0, chunks=1)

    short, long = encoded(77), encoded(154)
    assert places_by_length([(short, long), (short, short), (long, None), (short, long)]) == [[0, 3], [1], [2]]


def test_a_batch_goes_through_the_denoiser_together_with_both_texts(session, jobs):
    here, rows = session(), []
    loaded(here)._unet.register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[0]))
    here.render(jobs(count=3, steps=2), quiet)
    here.render(jobs(count=3, steps=2, guidance_scale=1.0), quiet)
    assert rows == [6, 6, 3, 3]


@pytest.mark.parametrize(("sampler", "evaluations"), [("euler", 4), ("heun", 7), ("dpm_2", 7)])
def test_the_facts_count_the_calls_that_were_made(session, jobs, sampler, evaluations):
    here, calls, steps = session(), [], []
    loaded(here)._unet.register_forward_pre_hook(lambda *_: calls.append(1))
    rendered = here.render(jobs(count=2, sampler=sampler, steps=4), steps.append)
    assert len(calls) == evaluations
    assert steps == [1, 2, 3, 4]
    for place, each in enumerate(rendered):
        assert each.facts["denoiser_evaluations"] == evaluations
        assert each.facts["steps_taken"] == 4
        assert (each.together.index, each.facts["batch_size"]) == (place, 2)


def test_the_facts_say_how_the_picture_was_made(session, tiny, job_for):
    (rendered,) = session().render([job_for(tiny("sd15"), prompt="a (red:1.2) cat")], quiet)
    facts = dict(rendered.facts)
    assert facts.pop("seconds_denoise") > 0
    assert facts.pop("sigmas")[::3] == [pytest.approx(14.6146, rel=1e-4), 0.0]
    assert facts == {
        "batch_size": 1,
        "chunks": 1,
        "denoiser_evaluations": 3,
        "device": "cpu",
        "dtype": "fp32",
        "guided": True,
        "memory": "full",
        "negative_prompt_tokens": 0,
        "prompt_tokens": 3,
        "steps_taken": 3,
        "timesteps": 3,
        "vae_dtype": "fp32",
    }


def test_pictures_have_the_size_that_was_asked_for(session, jobs):
    for picture in pixels(session(), jobs(count=2, width=64, height=48)):
        assert picture.shape == (48, 64, 3)
        assert picture.dtype == np.uint8


@pytest.mark.parametrize("field", ["seed", "prompt", "guidance_scale", "clip_skip", "steps"])
def test_what_a_job_asks_for_changes_its_picture(session, tiny, job_for, field):
    others = {"seed": 8, "prompt": "a blue dog", "guidance_scale": 9.0, "clip_skip": 2, "steps": 5}
    here = session()
    one = pixels(here, [job_for(tiny("sd15"))])[0]
    assert not np.array_equal(one, pixels(here, [job_for(tiny("sd15"), **{field: others[field]})])[0])


def test_the_largest_seed_renders(session, jobs):
    assert len(session().render(jobs(count=1, seed=2**64 - 1), quiet)) == 1


def test_the_scale_of_the_first_noise_and_the_generator_of_steps_are_as_the_job_says(session, jobs):
    here, sampler = session(), "euler_ancestral"
    asked = [{}, {"noise_scale": "sigma"}, {"noise": "cpu_continued"}]
    made = [jobs(count=1, sampler=sampler, **fields)[0] for fields in asked]
    assert len({job.batch_key for job in made}) == 3

    plain, *others = (pixels(here, [job])[0] for job in made)

    assert not any(np.array_equal(plain, other) for other in others)


def numpy_state():
    return np.random.get_state()[1].copy()  # noqa: NPY002 - the global one is meant


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde", "dpmpp_sde"])
def test_the_global_generators_are_neither_read_nor_moved(session, jobs, sampler):
    here = session()
    before, numpy_before = torch.random.get_rng_state(), numpy_state()
    first = pixels(here, jobs(count=1, sampler=sampler))[0]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(numpy_state(), numpy_before)

    torch.rand(7)
    assert np.array_equal(first, pixels(here, jobs(count=1, sampler=sampler))[0])


def test_a_text_is_encoded_once_for_all_jobs_that_share_it(session, jobs):
    here, encoded = session(), []
    encode = loaded(here).encode
    loaded(here).encode = lambda wording: encoded.append(wording.text) or encode(wording)
    here.render(jobs(prompt="a cat"), quiet)
    here.render(jobs(prompt="a cat", negative_prompt="a dog"), quiet)
    assert encoded == ["a cat", "", "a dog"]


def test_without_guidance_the_negative_prompt_is_not_even_encoded(session, jobs):
    here, encoded = session(), []
    encode = loaded(here).encode
    loaded(here).encode = lambda wording: encoded.append(wording.text) or encode(wording)
    here.render(jobs(count=1, guidance_scale=1.0, negative_prompt="a dog"), quiet)
    assert encoded == ["a red circle"]


def test_another_precision_is_read_from_the_files_again_and_back_without_loss(session, jobs):
    here = session()
    plain = pixels(here, jobs(count=1))[0]
    (half,) = here.render(jobs(count=1, precision="bf16"), quiet)
    assert (half.facts["dtype"], half.facts["vae_dtype"]) == ("bf16", "bf16")
    assert not np.array_equal(half.pixels, plain)
    assert np.array_equal(pixels(here, jobs(count=1))[0], plain)


class Loading:
    """A session whose reading of weights is watched, and may fail."""

    def __init__(self, model, runtime):
        self.formats, self.failures = [], []
        schedule = dict(scheduler_config(model))
        self.session = DiffusionSession(model, runtime, torch.device("cpu"), self.load, schedule)

    def load(self, model, dtype):
        self.formats.append(dtype)
        if self.failures:
            raise self.failures.pop()
        return UNetDenoiser(model, dtype, torch.device("cpu"), "full")


def test_weights_are_read_once_and_in_the_precision_that_the_jobs_ask_for(tiny, runtime, jobs):
    here = Loading(tiny("sd15"), runtime)
    assert here.formats == []
    for _ in range(2):
        here.session.render(jobs(count=1, precision="bf16"), quiet)
    assert here.formats == [torch.bfloat16]


def test_a_model_that_did_not_fit_in_one_precision_is_read_again_for_the_next_batch(tiny, runtime, jobs):
    here = Loading(tiny("sd15"), runtime)
    (plain,) = pixels(here.session, jobs(count=1))
    here.failures = [torch.OutOfMemoryError("CUDA out of memory.")]
    with pytest.raises(OutOfMemory):
        here.session.render(jobs(count=1, precision="bf16"), quiet)
    assert np.array_equal(pixels(here.session, jobs(count=1))[0], plain)
    here.session.render(jobs(count=1, precision="bf16"), quiet)
    assert here.formats == [torch.float32, torch.bfloat16, torch.float32, torch.bfloat16]


def test_files_that_cannot_be_a_model_are_not_read_again_for_every_job(tiny, runtime, jobs):
    here = Loading(tiny("sd15"), runtime)
    here.failures = [ModelError("1 weights are missing", where="unet")]
    for _ in range(3):
        with pytest.raises(ModelError, match=r"^unet: 1 weights are missing$"):
            here.session.render(jobs(count=1), quiet)
    assert here.formats == [torch.float32]


@pytest.mark.parametrize("memory", ["encode_first", "offload", "sequential"])
@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_where_the_parts_are_kept_changes_no_bit(tiny, jobs, session, family, memory):
    engine = DiffusionEngine(Runtime(device="cpu", threads=1, memory=memory))
    there = engine.open(tiny(family))
    here = session(family)
    for _ in range(2):
        assert np.array_equal(pixels(there, jobs(family, count=1))[0], pixels(here, jobs(family, count=1))[0])


def test_jobs_that_do_not_belong_together_are_refused(session, tiny, job_for):
    with pytest.raises(EngineError, match="must share"):
        session().render([job_for(tiny("sd15")), job_for(tiny("sd15"), steps=9)], quiet)


def test_a_closed_session_lets_the_model_go(session, jobs):
    here = session()
    unet = weakref.ref(loaded(here)._unet)
    here.close()
    gc.collect()
    assert unet() is None
    with pytest.raises(EngineError, match="closed"):
        here.render(jobs(count=1), quiet)


def test_latents_that_are_not_finite_give_no_picture(session, jobs):
    here = session()
    loaded(here)._unet.register_forward_hook(lambda _module, _given, output: (output[0] * float("nan"),))
    with pytest.raises(NotFinite):
        here.render(jobs(count=1), quiet)


def test_running_out_of_memory_is_said_in_those_words(session, jobs):
    here = session()

    def fail(module, given):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nOf the allocated memory ...")

    loaded(here)._unet.register_forward_pre_hook(fail)
    with pytest.raises(OutOfMemory, match=r"^out of memory: .*20\.00 GiB"):
        here.render(jobs(count=1), quiet)


def test_an_error_of_the_listener_is_not_swallowed(session, jobs):
    def stop(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session().render(jobs(count=1), stop)


class Shelf(dict):
    """Keeps latents by id in memory, whatever their size."""

    def find(self, job, shape):
        latent = self.get(job.id)
        return latent if latent and latent.values.shape == tuple(shape) else None

    def keep(self, job, latent):
        self[job.id] = latent


@pytest.fixture
def counted(session):
    """Return a session, and the rows of each call of its denoiser."""

    def of(family="sd15"):
        here, rows = session(family), []
        model = loaded(here)
        net = model._transformer if family == "flux" else model._unet
        net.register_forward_pre_hook(
            lambda _, args, kwargs: rows.append((args[0] if args else kwargs["hidden_states"]).shape[0]),
            with_kwargs=True,
        )
        return here, rows

    return of


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_sde"])
@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_a_job_whose_latent_is_kept_runs_no_denoiser_and_gives_the_same_picture_and_facts(
    counted, jobs, family, sampler
):
    if family == "flux" and sampler != "euler":
        pytest.skip("not for flow-matching models")
    here, rows = counted(family)
    batch, shelf = jobs(family, sampler=sampler, width=64), Shelf()
    first = here.render(batch, quiet, shelf)
    assert rows
    assert shelf.keys() == {job.id for job in batch}

    rows.clear()
    again = here.render(batch, quiet, shelf)
    assert rows == []
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert dict(other.facts) == {**one.facts, "latent_kept": True}
        assert other.together == one.together


def test_what_is_said_of_a_kept_latent_is_of_the_batch_in_which_it_was_made(counted, jobs):
    here, rows = counted()
    batch, shelf = jobs(count=4), Shelf()
    first = here.render(batch, quiet, shelf)
    rows.clear()
    (alone,) = here.render(batch[2:3], quiet, shelf)
    assert rows == []
    assert (alone.together.index, alone.together.ids) == (2, tuple(job.id for job in batch))
    assert alone.facts["batch_size"] == 4
    assert np.abs(alone.pixels.astype(int) - first[2].pixels).max() <= 1


def test_jobs_without_a_kept_latent_go_through_the_denoiser_among_themselves(counted, jobs):
    here, rows = counted()
    batch, shelf = jobs(count=4, steps=2), Shelf()
    here.render(batch[:1], quiet, shelf)
    rows.clear()
    rendered = here.render(batch, quiet, shelf)
    assert rows == [6, 6]
    assert [each.facts["batch_size"] for each in rendered] == [1, 3, 3, 3]
    assert [each.together.index for each in rendered] == [0, 0, 1, 2]
    assert rendered[3].together.ids == tuple(job.id for job in batch[1:])
    assert ["latent_kept" in each.facts for each in rendered] == [True, False, False, False]


def test_a_latent_of_another_precision_is_not_used(tiny, jobs):
    shelf, batch = Shelf(), jobs(count=1)
    half, full = (DiffusionEngine(Runtime(device="cpu", threads=1, precision=name)) for name in ("bf16", "fp32"))
    half.open(tiny("sd15")).render(batch, quiet, shelf)
    (rendered,) = full.open(tiny("sd15")).render(batch, quiet, shelf)
    assert "latent_kept" not in rendered.facts
    assert rendered.facts["dtype"] == shelf[batch[0].id].facts["dtype"] == "fp32"


def test_latents_of_all_are_kept_before_the_first_is_decoded(counted, jobs):
    here, rows = counted()
    batch, shelf, failures = [*jobs(count=2), *jobs(count=1, prompt=LONG)], Shelf(), [True, True]

    def fail(module, given):
        if failures:
            failures.pop()
            raise torch.OutOfMemoryError("CUDA out of memory.")

    wanted = pixels(here, batch)
    loaded(here).decoder._vae.decoder.register_forward_pre_hook(fail)
    with pytest.raises(OutOfMemory):
        here.render(batch, quiet, shelf)
    assert shelf.keys() == {job.id for job in batch}

    rows.clear()
    again = [each.pixels for each in here.render(batch, quiet, shelf)]
    assert rows == []
    assert all(np.array_equal(one, other) for one, other in zip(wanted, again, strict=True))


def test_decoding_that_lacks_memory_once_is_tried_again_at_once_with_the_latents_at_hand(counted, jobs):
    here, rows = counted()
    batch, failures = jobs(count=2, steps=2), [True]

    def fail(module, given):
        if failures:
            failures.pop()
            raise torch.OutOfMemoryError("CUDA out of memory.")

    wanted = pixels(here, batch)
    rows.clear()
    loaded(here).decoder._vae.decoder.register_forward_pre_hook(fail)
    assert all(np.array_equal(one, other) for one, other in zip(wanted, pixels(here, batch), strict=True))
    assert not failures
    assert rows == [4, 4]


@pytest.mark.parametrize(("tiling", "tiled"), [("off", False), ("on_oom", False), ("on", True)])
def test_a_job_may_ask_for_tiles_and_its_facts_say_that_there_were_some(session, jobs, tiling, tiled):
    (rendered,) = session().render(jobs(count=1, width=64, height=64, vae_tiling=tiling), quiet)
    assert rendered.facts.get("vae_tiled", False) is tiled
