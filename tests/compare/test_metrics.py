import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from batchgen.compare.identical import MOST_SAID, said_of_same, same
from batchgen.compare.metrics import SMALLEST, difference, differences
from batchgen.compare.references import read_against
from batchgen.compare.results import Result, Results, read_results
from batchgen.job import recipe_id
from batchgen.store import clips, images
from batchgen.store.clips import Keeping
from batchgen.store.layout import RunDirectory


@pytest.fixture
def directory(tmp_path):
    found = RunDirectory(tmp_path / "run")
    found.create()
    return found


def flat(grey, *, size=(16, 16)):
    return np.full((size[1], size[0], 3), grey, np.uint8)


def noise(seed, *, size=(48, 32)):
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)


def kept(directory, name, pixels):
    """A place's picture, and what is known of it."""
    path = directory.pictures / f"{name}.png"
    path.write_bytes(images.encode(pixels, "", "", 1))
    return {
        "picture": path,
        "state": "made",
        "pixel_sha256": images.pixel_sha256(pixels),
        "width": pixels.shape[1],
        "height": pixels.shape[0],
    }


def run_of(*facts):
    """Places at 1, 2, 3, ... steps."""
    places = tuple(
        Result(coordinates={"steps": steps}, id=f"{steps:064x}", prompt="", **each)
        for steps, each in enumerate(facts, start=1)
    )
    return Results(name="run", axes={"steps": tuple(range(1, len(places) + 1))}, places=places, environments={})


def measured(results, directory, said="steps=max"):
    return differences(results, read_against(said, results), directory)


def test_psnr_and_ssim_are_those_of_their_formulas(directory):
    results = run_of(*(kept(directory, f"{grey}", flat(grey)) for grey in (110, 100)))

    found = measured(results, directory)

    # Of flat pictures only the means are left: PSNR = 10 log10(255^2 / 10^2), SSIM = (2ab + C1) / (a^2 + b^2 + C1).
    c1 = (0.01 * 255) ** 2
    assert found.psnr[0] == pytest.approx(10 * math.log10(255**2 / 10**2))
    assert found.ssim[0] == pytest.approx((2 * 110 * 100 + c1) / (110**2 + 100**2 + c1))
    assert found.reference == (1, -1)
    assert (found.psnr[1], found.ssim[1]) == (None, None)
    assert found.text == "steps 2"


def test_ssim_is_that_of_wang_2004():
    one, other = noise(1), noise(2)

    _, ssim = difference([one], [other])

    assert ssim == pytest.approx(wang(one @ [0.299, 0.587, 0.114], other @ [0.299, 0.587, 0.114]), abs=1e-9)


def wang(x, y):
    """Equation 13 as it stands, with a window of 11 x 11, where the whole of it is inside."""
    g = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(g, g) / np.outer(g, g).sum()

    def mean(values):
        seen = np.lib.stride_tricks.sliding_window_view(values, (11, 11))
        return np.einsum("ijkl,kl->ij", seen, window)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    ssim = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(ssim.mean())


def test_equal_pictures_are_infinitely_near_and_not_opened(directory):
    results = run_of(*(kept(directory, name, noise(1)) for name in ("a", "b")))
    (directory.pictures / "a.png").write_bytes(b"")

    found = measured(results, directory)

    assert (found.psnr[0], found.ssim[0]) == (math.inf, 1.0)


def test_what_cannot_be_measured_has_no_number_and_costs_the_others_nothing(directory):
    whole = kept(directory, "whole", noise(1))
    torn = kept(directory, "torn", noise(2))
    torn["picture"].write_bytes(torn["picture"].read_bytes()[:-20])
    gone = kept(directory, "gone", noise(3))
    gone["picture"].unlink()
    other = kept(directory, "other", noise(4, size=(32, 48)))
    lying = kept(directory, "lying", noise(5, size=(32, 48))) | {"width": 48, "height": 32}
    results = run_of(whole, torn, gone, other, lying, {"state": "missing"}, kept(directory, "reference", noise(9)))

    found = measured(results, directory)

    assert [value is not None for value in found.psnr] == [True, False, False, False, False, False, False]


def test_a_torn_reference_leaves_all_unmeasured(directory):
    reference = kept(directory, "reference", noise(9))
    reference["picture"].write_bytes(reference["picture"].read_bytes()[:100])

    found = measured(run_of(kept(directory, "whole", noise(1)), reference), directory)

    assert found.psnr == (None, None)


def test_a_picture_smaller_than_the_window_has_no_ssim(directory):
    size = (SMALLEST - 1, 40)
    results = run_of(*(kept(directory, f"{seed}", noise(seed, size=size)) for seed in (1, 2)))

    found = measured(results, directory)

    assert found.psnr[0] > 0
    assert found.ssim[0] is None


def test_more_pictures_than_one_thread_takes_are_all_measured_right(directory):
    pixels = [flat(100 + number) for number in range(1, 101)]
    results = run_of(
        *(kept(directory, f"{number}", each) for number, each in enumerate(pixels)), kept(directory, "r", flat(100))
    )

    found = measured(results, directory)

    assert found.psnr[:100] == pytest.approx([10 * math.log10(255**2 / number**2) for number in range(1, 101)])


def test_what_was_measured_is_not_measured_again(directory):
    results = run_of(*(kept(directory, f"{seed}", noise(seed)) for seed in (1, 2, 3)))
    first = measured(results, directory)
    for place in results.places:
        place.picture.unlink()

    assert measured(results, directory) == first
    # Against another reference, nothing is known.
    assert measured(results, directory, "steps=1").psnr == (None, None, None)


def test_other_pixels_are_measured_anew(directory):
    results = run_of(*(kept(directory, f"{seed}", flat(seed)) for seed in (10, 20)))
    measured(results, directory)

    again = run_of(kept(directory, "10", flat(15)), kept(directory, "20", flat(20)))

    assert measured(again, directory).psnr[0] == pytest.approx(10 * math.log10(255**2 / 25))


def test_pictures_that_are_gone_are_forgotten(directory):
    results = run_of(*(kept(directory, f"{seed}", noise(seed)) for seed in (1, 2, 3)))
    measured(results, directory)

    measured(replace(results, places=results.places[1:]), directory)

    assert results.places[0].pixel_sha256 not in directory.metrics.read_text()
    assert results.places[1].pixel_sha256 in directory.metrics.read_text()


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff\x00",
        b"[1]",
        b'{"format": 2}',
        b'{"format": 1, "differences": [1], "own": 3}',
        b'{"format": 1, "differences": {"a": {"b": ["x", 1]}}}',
        b"[" * 100_000,
    ],
)
def test_garbage_in_place_of_what_was_remembered_is_passed_over(directory, garbage):
    results = run_of(*(kept(directory, f"{seed}", noise(seed)) for seed in (1, 2)))
    right = measured(results, directory)
    directory.metrics.write_bytes(garbage)

    assert measured(results, directory) == right
    assert json.loads(directory.metrics.read_bytes())["format"] == 1


def test_a_run_directory_that_cannot_be_written_is_measured_all_the_same(directory):
    results = run_of(*(kept(directory, f"{seed}", noise(seed)) for seed in (1, 2)))
    directory.tmp.rmdir()
    directory.tmp.write_text("in the way")

    assert measured(results, directory).psnr[0] > 0
    assert not directory.metrics.exists()


def clip(directory, name, frames):
    """A clip that is kept without loss, and what is known of it."""

    def told(output):
        recipe = {"seed": name}
        return json.dumps({"schema": 1, "id": recipe_id(recipe), "recipe": recipe, "output": dict(output)})

    directory.clips.mkdir(exist_ok=True)
    written = clips.write(frames, 8.0, Keeping(container="frames"), directory.clips / name, told)
    count, height, width, _ = frames.shape
    return {
        "picture": written.file,
        "state": "made",
        "pixel_sha256": written.pixel_sha256,
        "width": width,
        "height": height,
        "frames": count,
    }


def test_a_clip_has_the_error_of_all_its_pixels_and_the_mean_of_its_frames_likeness(directory):
    one = np.stack([flat(100), flat(100), flat(100)])
    other = np.stack([flat(100), flat(110), flat(130)])

    found = measured(run_of(clip(directory, "a", other), clip(directory, "b", one)), directory)

    likeness = [difference([flat(100)], [flat(grey)])[1] for grey in (100, 110, 130)]
    assert found.psnr[0] == pytest.approx(10 * math.log10(255**2 / ((0 + 100 + 900) / 3)))
    assert found.ssim[0] == pytest.approx(sum(likeness) / 3)


def test_clips_of_other_lengths_and_pictures_beside_clips_are_not_measured(directory):
    long, short = np.stack([flat(1)] * 3), np.stack([flat(2)] * 2)

    found = measured(
        run_of(clip(directory, "a", short), kept(directory, "c", flat(3)), clip(directory, "b", long)), directory
    )

    assert found.psnr == (None, None, None)


def test_a_clip_that_says_it_has_as_many_frames_and_has_not_is_not_measured(directory):
    lying = clip(directory, "a", np.stack([flat(2)] * 2)) | {"frames": 3}

    found = measured(run_of(lying, clip(directory, "b", np.stack([flat(1)] * 3))), directory)

    assert found.psnr == (None, None)


def test_a_real_run_is_measured(evening):
    results = read_results(evening)

    found = differences(results, read_against(None, results), evening)

    steps = [place.coordinates["steps"] for place in results.places]
    assert [value is not None for value in found.psnr] == [each == 4 for each in steps]
    assert found.text == "steps 12 of the same prompt, sampler and seed"


def alike(axes, sha_of, *, state="made"):
    """A run in which `sha_of` says which pixels are at some coordinates."""
    places = []
    for number, values in enumerate(itertools.product(*axes.values())):
        at = dict(zip(axes, values, strict=True))
        sha = sha_of(at)
        places.append(
            Result(
                coordinates=at,
                id=f"{number:064x}",
                state=state if sha else "missing",
                prompt="",
                pixel_sha256=sha or "",
            )
        )
    return Results(name="run", axes=axes, places=tuple(places), environments={})


AXES = {"sampler": ("euler", "heun", "ddim"), "steps": (2, 4), "seed": (0, 1)}


def ddim_is_euler(at):
    sampler = "euler" if at["sampler"] == "ddim" else at["sampler"]
    return f"{sampler} {at['steps']} {at['seed']}"


def test_jobs_with_the_very_same_pixels_are_grouped_in_order():
    assert same(alike(AXES, ddim_is_euler)) == (0, 1, 2, 3, -1, -1, -1, -1, 0, 1, 2, 3)


def test_two_places_of_one_job_are_no_group():
    results = alike({"sampler": ("euler", "heun")}, lambda _: "pixels")
    places = tuple(replace(each, id="0" * 64) for each in results.places)

    assert same(replace(results, places=places)) == (-1, -1)


def test_missing_pictures_are_no_group():
    assert same(alike({"sampler": ("euler", "heun")}, lambda _: None)) == (-1, -1)


def test_two_samplers_that_are_one_are_told_of():
    assert said_of_same(alike(AXES, ddim_is_euler)) == (
        "sampler ddim makes the very same pictures as euler, in all 4 places that have both",
    )


def test_where_only_some_are_the_same_it_is_said_where():
    def at_two_steps(at):
        return f"{at['steps']} {at['seed']}" if at["steps"] == 2 and at["sampler"] != "heun" else str(at)

    assert said_of_same(alike(AXES, at_two_steps)) == (
        "sampler ddim makes the very same pictures as euler, in 2 of 4 places that have both: wherever steps is 2",
    )


def test_three_that_are_one_are_told_of_twice():
    said = said_of_same(alike(AXES, lambda at: f"{at['steps']} {at['seed']}"))

    assert said == (
        "sampler heun makes the very same pictures as euler, in all 4 places that have both",
        "sampler ddim makes the very same pictures as euler, in all 4 places that have both",
    )


def test_not_more_is_said_than_is_read():
    said = said_of_same(alike({"sampler": tuple(map(str, range(100)))}, lambda _: "black"))

    assert len(said) == MOST_SAID + 1
    assert said[-1] == "and 87 more such pairs"


def test_what_is_missing_takes_nothing_from_what_both_have():
    said = said_of_same(alike(AXES, lambda at: None if at["sampler"] == "ddim" and at["seed"] else ddim_is_euler(at)))

    assert said == ("sampler ddim makes the very same pictures as euler, in all 2 places that have both",)
