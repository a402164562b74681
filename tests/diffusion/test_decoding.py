import numpy as np
import pytest
import torch

from batchgen.diffusion.decoding import Decoder, to_pixels
from batchgen.errors import NotFinite


class Config(dict):
    __getattr__ = dict.__getitem__


class FakeVae:
    """Shows a latent image's first three channels as they are. In fp16 it overflows above `limit`, in fp32 never."""

    def __init__(self, dtype=torch.float32, limit=10.0, levels=1, **config):
        self.config = Config(scaling_factor=0.5, block_out_channels=(8,) * levels, **config)
        self.dtype = dtype
        self.limit = limit
        self.batches = []

    def to(self, dtype):
        self.dtype = dtype
        return self

    def decode(self, latents, *, return_dict):
        assert not return_dict
        assert latents.dtype is self.dtype
        self.batches.append(latents.shape[0])
        image = latents[:, :3].clone()
        if self.dtype is torch.float16:
            image[image.abs() > self.limit] = float("inf")
        return (image,)


def grey(value, count=1, side=2):
    return torch.full((count, 4, side, side), value)


def first_byte(picture):
    return int(picture[0][0, 0, 0])


def test_latents_are_brought_to_the_autoencoders_scale():
    # 0.1 / 0.5 = 0.2, which is (0.2 + 1) / 2 * 255 = 153.
    assert first_byte(Decoder(FakeVae()).decode(grey(0.1), "round")[0]) == 153


def test_a_shift_is_added_after_scaling():
    assert first_byte(Decoder(FakeVae(shift_factor=0.2)).decode(grey(0.0), "round")[0]) == 153


def test_a_mean_and_a_deviation_of_each_channel_are_undone():
    vae = FakeVae(latents_mean=[0.2, -0.9, 0.0, 0.0], latents_std=[1.0, 1.0, 0.5, 1.0])
    ((picture, _),) = Decoder(vae).decode(grey(0.1), "round")
    assert picture[0, 0].tolist() == [178, 38, 140]


@pytest.mark.parametrize(("rounding", "wanted"), [("round", 128), ("truncate", 127)])
def test_the_middle_grey_is_rounded_or_truncated(rounding, wanted):
    assert first_byte(Decoder(FakeVae()).decode(grey(0.0), rounding)[0]) == wanted


def test_what_is_outside_of_the_range_is_clamped():
    image = torch.tensor([-3.0, 0.0, 3.0])[:, None, None]
    assert to_pixels(image, "round").tolist() == [[[0, 128, 255]]]


def test_rows_stay_rows_and_columns_stay_columns():
    image = torch.full((3, 2, 4), -1.0)
    image[:, 1, 3] = 1.0
    picture = to_pixels(image, "round")
    assert picture.shape == (2, 4, 3)
    assert np.argwhere(picture[..., 0] == 255).tolist() == [[1, 3]]


def test_an_overflow_in_half_precision_is_decoded_again_in_fp32_and_said():
    vae = FakeVae(dtype=torch.float16)
    latents = torch.cat([grey(0.1), grey(20.0), grey(0.1)])
    pictures = Decoder(vae).decode(latents, "round")
    assert [again for _, again in pictures] == [False, True, False]
    assert [first_byte(picture) for picture in pictures] == [153, 255, 153]


def test_after_an_overflow_the_autoencoder_is_in_half_precision_again():
    vae = FakeVae(dtype=torch.float16)
    Decoder(vae).decode(grey(20.0), "round")
    assert vae.dtype is torch.float16


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_never_becomes_a_picture(dtype, value):
    latents = grey(0.1)
    latents[0, 0, 1, 1] = value
    with pytest.raises(NotFinite, match="latents were not finite"):
        Decoder(FakeVae(dtype=dtype)).decode(latents, "round")


@pytest.mark.parametrize(("side", "batches"), [(32, [3]), (33, [1, 1, 1])])
def test_large_pictures_are_decoded_one_by_one_and_small_ones_together(side, batches):
    vae = FakeVae(levels=4)
    assert len(Decoder(vae).decode(grey(0.1, count=3, side=side), "round")) == 3
    assert vae.batches == batches
