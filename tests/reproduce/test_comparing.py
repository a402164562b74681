import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.reproduce.comparing import differences, figures, figures_of_frames


def test_one_channel_of_one_pixel_of_four_gives_the_figures_of_a_pocket_calculator():
    one = np.zeros((2, 2, 3), np.uint8)
    other = one.copy()
    other[0, 1, 2] = 51

    found = figures(one, other)

    assert found.psnr == pytest.approx(24.7712, abs=1e-4)  # 10 log10(255^2 / (51^2 / 12)) = 10 log10(300)
    assert (found.largest, found.share) == (51, 0.25)


def test_black_and_white_are_255_apart_and_do_not_wrap_around():
    black, white = np.zeros((3, 5, 3), np.uint8), np.full((3, 5, 3), 255, np.uint8)

    assert (figures(black, white).psnr, figures(white, black).largest) == (0.0, 255)


def test_equal_pictures_are_infinitely_near():
    picture = np.full((3, 5, 3), 7, np.uint8)

    assert (figures(picture, picture).psnr, figures(picture, picture).share) == (math.inf, 0.0)


def test_pictures_of_different_sizes_have_no_figures():
    assert figures(np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2, 3), np.uint8)) is None


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9))
def test_which_picture_is_the_original_makes_no_odds(seed, width, height):
    random = np.random.default_rng(seed)
    one, other = random.integers(0, 256, (2, height, width, 3), dtype=np.uint8)

    assert figures(one, other) == figures(other, one)


def test_every_field_that_differs_is_said_with_both_values_also_where_one_has_none(a):
    then = a.record(a.job(), dtype="fp32")
    now = a.record(a.job(steps=4))
    now = {**now, "environment": {"python": "3.11", "threads": 2, "libraries": {"torch": "3"}}}

    found = {each.field: (each.then, each.now) for each in differences(then, now)}

    assert found == {
        "recipe.steps": (3, 4),
        "execution.dtype": ("fp32", None),
        "environment.threads": (1, 2),
        "environment.libraries.torch": (None, "3"),
    }


def test_neighbours_places_and_times_are_no_differences_but_the_batch_size_is(a):
    then, now = a.record(a.job(), 2, seconds_denoise=1.0), a.record(a.job(), 3, seconds_denoise=2.0)
    now["execution"].update(batch_index=1, attempt=2, latent_kept=True)

    assert [each.field for each in differences(then, now)] == ["execution.batch_size"]


def test_tiles_of_the_autoencoder_are_a_difference(a):
    then, now = a.record(a.job(vae_tiling="on_oom"), vae_tiled=True), a.record(a.job(vae_tiling="on_oom"))

    assert [(each.field, each.then, each.now) for each in differences(then, now)] == [
        ("execution.vae_tiled", True, None)
    ]


def test_a_strangers_record_without_parts_can_be_compared(a):
    then = {**a.record(a.job()), "environment": "none", "execution": None}

    found = {each.field for each in differences(then, a.record(a.job()))}

    assert {"environment", "environment.threads", "execution.batch_size"} <= found


def test_the_figures_of_a_clip_are_those_of_all_of_its_frames_together():
    one = [np.zeros((2, 2, 3), np.uint8)] * 3
    other = [one[0], one[0].copy(), one[0]]
    other[1][0, 1, 2] = 51

    found = figures_of_frames(one, iter(other))

    assert found.psnr == pytest.approx(24.7712 + 10 * math.log10(3), abs=1e-4)
    assert (found.largest, found.share) == (51, pytest.approx(1 / 12))


@pytest.mark.parametrize("other", [1, 3])
def test_clips_of_different_lengths_have_no_figures(other):
    frame = np.zeros((2, 2, 3), np.uint8)

    assert figures_of_frames([frame] * 2, [frame] * other) is None
