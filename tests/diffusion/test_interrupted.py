"""Denoising that was interrupted goes on from its last bookmark, and nobody sees it in the picture: every sampler."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from batchgen.diffusion.bookmarks import Marking, packed, unpacked
from batchgen.diffusion.engine import DiffusionEngine
from batchgen.diffusion.noise import Origin, first_noise
from batchgen.diffusion.samplers import Stepper, make_stepper
from batchgen.diffusion.solvers import Course
from batchgen.engine import Runtime
from batchgen.job import File
from batchgen.parts import Sampling
from batchgen.sampling.names import COGVIDEOX_SAMPLERS, EVERY_SAMPLER, SAMPLERS
from batchgen.sampling.schedules import training_table
from batchgen.store.interrupted import KeptBookmarks
from batchgen.store.layout import RunDirectory

CPU = torch.device("cpu")
SHAPE = (4, 6, 5)
STEPS = 6
STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
COGVIDEOX = STABLE_DIFFUSION | {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}

SEEDS = {
    "comfyui": [Origin(seed=3), Origin(seed=2**64 - 1)],
    "a row of a batch": [Origin(seed=3, row=2), Origin(seed=4, row=1)],
    "a1111": [Origin(seed=3, device="cpu_continued"), Origin(seed=4, device="cpu_continued")],
    "cuda": [Origin(seed=3, device="nv"), Origin(seed=4, device="nv")],
}
"""Every source of noise, for batches of two."""

REMEMBERING = ("lms", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde", "uni_pc", "uni_pc_bh2", "deis", "cogvideox_dpm")
"""Samplers that look back further than one step."""

FRESH = ("euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral", "ddpm", "lcm", "cogvideox_dpm")
"""Samplers whose noise comes from generators, one number after the other."""


def stepper_for(sampler, origins):
    sampling = Sampling(sampler=sampler, schedule="simple", steps=STEPS, guidance_scale=1.0)
    config = COGVIDEOX if sampler in COGVIDEOX_SAMPLERS else STABLE_DIFFUSION
    return make_stepper(sampling, scheduler_config=config, seeds=origins, shape=SHAPE)


def walk(stepper, latents, after=None):
    """Denoise with a network that is wrong, but the same for all and different at every timestep.

    Returns the latents and the number of its calls; `after` is told of every whole step.
    """
    told, calls = stepper.steps_taken, 0
    for timestep in stepper.timesteps[stepper.calls :]:
        latents = stepper.step(torch.tanh(stepper.model_input(latents)) * (0.2 + timestep / 2000), latents)
        calls += 1
        if stepper.steps_taken > told:
            told = stepper.steps_taken
            if after:
                after(stepper, latents)
    return latents, calls


def stored(value):
    """Return `value` as another process has it: as arrays and as JSON, both in bytes."""
    arrays = []
    said = json.dumps(packed(value, arrays))
    return unpacked(json.loads(said), [np.array(array) for array in arrays], CPU)


def every_state(sampler, origins):
    """Return the picture, the calls it took, and what was stored after every step."""
    states = []
    stepper = stepper_for(sampler, origins)
    first = stepper.first_latent(first_noise(origins, SHAPE))
    whole, calls = walk(stepper, first, lambda at, latents: states.append((at.calls, stored((latents, at.state())))))
    return whole, calls, states


def gone_on(sampler, origins, latents, state):
    stepper = stepper_for(sampler, origins)
    stepper.restore(state)
    return walk(stepper, latents)


@pytest.mark.parametrize("origins", SEEDS.values(), ids=SEEDS)
@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
def test_after_any_step_every_sampler_goes_on_to_the_same_bits(sampler, origins):
    whole, calls, states = every_state(sampler, origins)

    assert len(states) == STEPS
    assert not torch.equal(whole[0], whole[1])
    for taken, (latents, state) in states[:-1]:
        again, rest = gone_on(sampler, origins, latents, state)
        assert torch.equal(again, whole), taken
        assert taken + rest == calls


@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
def test_a_bookmark_takes_few_latents(sampler):
    """CogVideoX's have 5 MB each, and there are up to fifty steps."""
    _, _, states = every_state(sampler, SEEDS["comfyui"])
    sizes = []
    for _, each in states:
        arrays = []
        packed(each, arrays)
        sizes.append(sum(array.size == 2 * 4 * 6 * 5 for array in arrays))

    assert max(sizes) <= 5


def broken(sampler, *, forgets):
    """Return how often, after the third step and later, another picture comes of a state without some of it."""
    whole, _, states = every_state(sampler, SEEDS["comfyui"])
    differing = 0
    for _, (latents, state) in states[2:-1]:
        fresh = stored(stepper_for(sampler, SEEDS["comfyui"]).state())
        solver = forgets(state["solver"], fresh["solver"])
        again, _ = gone_on(sampler, SEEDS["comfyui"], latents, state | {"solver": solver})
        differing += not torch.equal(again, whole)
    return differing


def no_memory(solver, fresh):
    if "scheduler" in solver:
        held = {name: fresh["scheduler"].get(name, value) for name, value in solver["scheduler"].items()}
        return solver | {"scheduler": held | {"_step_index": solver["scheduler"]["_step_index"]}}
    return solver | {name: fresh[name] for name in ("memory", "seen") if name in solver}


def no_noise(solver, fresh):
    return solver | {name: fresh[name] for name in ("generators", "drawn") if name in solver}


@pytest.mark.parametrize("sampler", REMEMBERING)
def test_without_what_it_remembers_a_sampler_would_make_another_picture(sampler):
    assert broken(sampler, forgets=no_memory) > 0


@pytest.mark.parametrize("sampler", [each for each in EVERY_SAMPLER if each not in REMEMBERING])
def test_samplers_of_one_step_need_no_memory(sampler):
    assert broken(sampler, forgets=no_memory) == 0


@pytest.mark.parametrize("sampler", FRESH)
def test_without_the_generators_states_a_sampler_would_draw_other_noise(sampler):
    assert broken(sampler, forgets=no_noise) > 0


@pytest.mark.parametrize("sampler", [each for each in EVERY_SAMPLER if each not in FRESH])
def test_noise_of_a_brownian_path_needs_no_state(sampler):
    assert broken(sampler, forgets=no_noise) == 0


def test_what_is_stored_lies_in_memory_as_it_did():
    channels_last = torch.rand(2, 4, 6, 5).contiguous(memory_format=torch.channels_last)
    expanded = channels_last[:, :1].expand(2, 3, 6, 5)
    value = {"a": [channels_last, None, 0.1 + 0.2, True], "b": torch.tensor(0.25), "c": expanded}

    found = stored(value)

    assert torch.equal(found["a"][0], channels_last)
    assert found["a"][0].stride() == channels_last.stride()
    assert found["a"][1:] == [None, 0.1 + 0.2, True]
    assert (found["b"].shape, float(found["b"])) == ((), 0.25)
    assert torch.equal(found["c"], expanded)


class Killed(BaseException):
    """In place of a signal."""


class Bookmarks(KeptBookmarks):
    """Bookmarks on disk, after the `last` of which the process dies."""

    def __init__(self, folder, last=None):
        directory = RunDirectory(folder)
        directory.create()
        super().__init__(directory, "here")
        self.last, self.kept = last, 0

    def keep(self, jobs, bookmark):
        super().keep(jobs, bookmark)
        self.kept += 1
        if self.kept == self.last:
            raise Killed


@pytest.fixture(scope="module")
def render():
    """Return how to render with a model: each is opened once, for a session carries nothing from batch to batch."""
    opened = {}

    def rendered(model, jobs, bookmarks, every=1e-9, precision="auto"):
        """Return pictures, how often the network was called, and what was said of steps."""
        if model.name not in opened:
            opened[model.name] = DiffusionEngine(Runtime(device="cpu", threads=1)).open(model)
        session, seen, steps = opened[model.name], [], []
        session._runtime = Runtime(device="cpu", threads=1, checkpoint_every=every, precision=precision)
        network = session._in_precision("auto")
        part = network._unet if hasattr(network, "_unet") else network._transformer
        hook = part.register_forward_pre_hook(lambda *_: seen.append(1))
        try:
            return session.render(jobs, steps.append, bookmarks=bookmarks), len(seen), steps
        except Killed:
            return None, len(seen), steps
        finally:
            hook.remove()

    return rendered


@pytest.fixture
def jobs(tiny, job_for):
    def of(family="sd15", count=2, **fields):
        words = ["a red circle", "a blue square", "green " * 90]
        return [job_for(tiny(family), **({"prompt": words[k], "seed": k, "steps": 4} | fields)) for k in range(count)]

    return of


@pytest.fixture
def file_of(tmp_path):
    def write(name, pixels):
        path = tmp_path / f"{name}.png"
        Image.fromarray(pixels).save(path)
        return File(digest=name.encode().hex().ljust(64, "0"), name=path.name, path=str(path))

    return write


@pytest.fixture
def check(tiny, render, tmp_path):
    """Return how to see that a batch goes on, after the bookmark of step 2, to what an undisturbed one becomes."""
    return lambda batch, family="sd15": resumed_is_equal(render, tiny(family), batch, tmp_path, 2)


def resumed_is_equal(render, model, batch, tmp_path, last):
    whole, calls, steps = render(model, batch, Bookmarks(tmp_path / "calm"), every=0)
    nothing, before, _ = render(model, batch, Bookmarks(tmp_path / "run", last=last))
    again, after, rest = render(model, batch, Bookmarks(tmp_path / "run"))
    assert nothing is None
    assert before + after == calls
    assert steps[-len(rest) :] == rest
    for one, other in zip(whole, again, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        facts = {name: value for name, value in other.facts.items() if not name.startswith("seconds_")}
        assert 0 < other.facts["seconds_before"] <= other.facts["seconds_denoise"]
        assert facts.pop("resumed_at_step") == last
        assert facts.items() <= one.facts.items()
        assert "resumed_at_step" not in one.facts


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_goes_on_and_no_call_of_the_network_is_made_twice(sampler, check, jobs):
    check(jobs(sampler=sampler))


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_other_families_go_on_as_well(family, check, jobs):
    check(jobs(family), family)


def test_where_a_part_is_painted_anew_the_rest_is_kept_as_before(check, jobs, file_of):
    ramp = np.linspace(0, 255, 32 * 32).reshape(32, 32).astype(np.uint8)
    begins = {"init_image": file_of("picture", np.stack([ramp, ramp.T, ramp[::-1]], axis=2))}
    begins["mask_image"] = file_of("mask", np.where(ramp > 100, 255, 0).astype(np.uint8))

    check(jobs(sampler="dpmpp_2m", strength=0.7, **begins))


def test_prompts_of_other_lengths_go_through_by_themselves_and_each_has_its_own_bookmark(tiny, render, jobs, tmp_path):
    batch, model = jobs(count=3, sampler="lms"), tiny("sd15")
    whole, calls, _ = render(model, batch, Bookmarks(tmp_path / "calm"), every=0)
    # Three bookmarks of the two short prompts, whose latents are not kept here, and two of the long one.
    nothing, _, _ = render(model, batch, Bookmarks(tmp_path / "run", last=5))
    again, after, steps = render(model, batch, Bookmarks(tmp_path / "run"))

    assert nothing is None
    assert [each.facts["resumed_at_step"] for each in again] == [3, 3, 2]
    assert steps == [4, 3, 4]
    # Of the long prompt both texts go through by themselves.
    assert (calls, after) == (4 + 2 * 4, 1 + 2 * 2)
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(whole, again, strict=True))


def test_killed_again_and_again_a_batch_takes_no_step_twice(tiny, render, jobs, tmp_path):
    batch, model = jobs(sampler="uni_pc", steps=6), tiny("sd15")
    whole, calls, _ = render(model, batch, Bookmarks(tmp_path / "calm"), every=0)
    made = []
    while (life := render(model, batch, Bookmarks(tmp_path / "run", last=1)))[0] is None:
        made.append(life[1])

    assert made == [1] * 5
    assert sum(made) + life[1] == calls
    assert life[0][0].facts["denoiser_evaluations"] == whole[0].facts["denoiser_evaluations"] == 6
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(whole, life[0], strict=True))


@pytest.mark.parametrize("change", ["other neighbours", "another order", "a larger batch", "another number format"])
def test_a_bookmark_of_anything_else_is_not_gone_on_from(tiny, render, jobs, tmp_path, change):
    batch, model = jobs(count=2), tiny("sd15")
    render(model, batch, Bookmarks(tmp_path, last=2))
    changed = {
        "other neighbours": [batch[0], *jobs(count=1, seed=9)],
        "another order": batch[::-1],
        "a larger batch": [*batch, batch[1]],
        "another number format": batch,
    }[change]
    precision = "bf16" if change == "another number format" else "auto"

    made, _, steps = render(model, changed, Bookmarks(tmp_path), every=60, precision=precision)

    assert steps == [1, 2, 3, 4]
    assert not any("resumed_at_step" in each.facts for each in made)


def test_bookmarks_are_made_when_it_is_time_and_never_of_the_last_step_or_where_nobody_asks(
    tiny, render, jobs, tmp_path
):
    counts = {}
    for every in (1e-9, 60, 0):
        bookmarks = Bookmarks(tmp_path / str(every))
        render(tiny("sd15"), jobs(), bookmarks, every=every)
        counts[every] = bookmarks.kept

    assert counts == {1e-9: 3, 60: 0, 0: 0}


class Strange:
    """A solver that holds what cannot be kept."""

    levels, preserving = np.array([1.0, 0.5]), False

    def state(self):
        return {"cache": [torch.zeros(1), object()]}


def test_what_a_sampler_holds_and_cannot_be_kept_is_said_and_nothing_is_kept(tmp_path, jobs):
    course = Course(sigmas=np.array([1.0, 0.5, 0.0]), prediction="epsilon", seeds=(1,), shape=SHAPE)
    stepper = Stepper(Strange(), course, training_table(STABLE_DIFFUSION))
    stepper._calls = 1
    bookmarks = Bookmarks(tmp_path)
    marking = Marking(bookmarks, jobs(), every=1e-9, dtype="fp32")

    marking.passed(stepper, torch.zeros(1, *SHAPE))

    assert bookmarks.kept == 0
    assert marking.refused == "object: cannot be kept for later"


def test_a_bookmark_of_another_picture_to_begin_with_is_not_gone_on_from(tiny, render, jobs, tmp_path, file_of):
    """Where a first pass was made again in a batch of another size, its picture has other last bits."""
    grey = np.full((32, 32, 3), 99, dtype=np.uint8)
    batch = jobs(init_image=file_of("picture", grey), strength=0.7)
    render(tiny("sd15"), batch, Bookmarks(tmp_path / "run", last=2))
    file_of("picture", grey + 1)
    fresh = replace(tiny("sd15"), name="one that has not read the picture")

    _, calls, steps = render(fresh, batch, Bookmarks(tmp_path / "run"))

    assert (calls, steps) == (4, [1, 2, 3, 4])
