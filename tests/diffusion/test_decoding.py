import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from batchgen.diffusion.decoding import Decoder, to_pixels
from batchgen.errors import NotFinite, OutOfMemory
from batchgen.parts import Numerics
from batchgen.shipped import shipped_model

PLAIN = Numerics()


class Config(dict):
    __getattr__ = dict.__getitem__


class FakeVae:
    """Shows a latent image's first three channels as they are. In fp16 it overflows above `limit`, in fp32 never.

    The first `failures` times memory does not suffice; without tiles it never does where `fits` is False. Its tiles
    are of two latent pixels, and a little darker.
    """

    tile_latent_min_size = 2

    def __init__(self, dtype=torch.float32, limit=10.0, levels=1, *, failures=0, fits=True, **config):
        self.config = Config(scaling_factor=0.5, block_out_channels=(8,) * levels, **config)
        self.dtype = dtype
        self.limit = limit
        self.batches = []
        self.failures = failures
        self.fits = fits
        self.tiling = False
        self.tried = []

    def enable_tiling(self):
        self.tiling = True

    def disable_tiling(self):
        self.tiling = False

    def to(self, dtype):
        self.dtype = dtype
        return self

    def decode(self, latents, *, return_dict):
        assert not return_dict
        assert latents.dtype is self.dtype
        self.tried.append("tiles" if self.tiling else "whole")
        if self.failures or not (self.fits or self.tiling):
            self.failures = max(0, self.failures - 1)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        self.batches.append(latents.shape[0])
        image = latents[:, :3].clone() - (0.2 if self.tiling else 0)
        if self.dtype is torch.float16:
            image[image.abs() > self.limit] = float("inf")
        return (image,)


def grey(value, count=1, side=2):
    return torch.full((count, 4, side, side), value)


def first_byte(picture):
    return int(picture[0][0, 0, 0])


def test_latents_are_brought_to_the_autoencoders_scale():
    # 0.1 / 0.5 = 0.2, which is (0.2 + 1) / 2 * 255 = 153.
    assert first_byte(Decoder(FakeVae()).decode(grey(0.1), PLAIN)[0]) == 153


def test_a_shift_is_added_after_scaling():
    assert first_byte(Decoder(FakeVae(shift_factor=0.2)).decode(grey(0.0), PLAIN)[0]) == 153


def test_a_mean_and_a_deviation_of_each_channel_are_undone():
    vae = FakeVae(latents_mean=[0.2, -0.9, 0.0, 0.0], latents_std=[1.0, 1.0, 0.5, 1.0])
    ((picture, _),) = Decoder(vae).decode(grey(0.1), PLAIN)
    assert picture[0, 0].tolist() == [178, 38, 140]


@pytest.mark.parametrize(("rounding", "wanted"), [("round", 128), ("truncate", 127)])
def test_the_middle_grey_is_rounded_or_truncated(rounding, wanted):
    assert first_byte(Decoder(FakeVae()).decode(grey(0.0), Numerics(rounding=rounding))[0]) == wanted


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
    pictures = Decoder(vae).decode(latents, PLAIN)
    assert [said for _, said in pictures] == [{}, {"decode_fp32_retry": True}, {}]
    assert [first_byte(picture) for picture in pictures] == [153, 255, 153]


def test_after_an_overflow_the_autoencoder_is_in_half_precision_again():
    vae = FakeVae(dtype=torch.float16)
    Decoder(vae).decode(grey(20.0), PLAIN)
    assert vae.dtype is torch.float16


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_never_becomes_a_picture(dtype, value):
    latents = grey(0.1)
    latents[0, 0, 1, 1] = value
    with pytest.raises(NotFinite, match="latents were not finite"):
        Decoder(FakeVae(dtype=dtype)).decode(latents, PLAIN)


@pytest.mark.parametrize(("side", "batches"), [(32, [3]), (33, [1, 1, 1])])
def test_large_pictures_are_decoded_one_by_one_and_small_ones_together(side, batches):
    vae = FakeVae(levels=4)
    assert len(Decoder(vae).decode(grey(0.1, count=3, side=side), PLAIN)) == 3
    assert vae.batches == batches


WAYS = {"off": ["whole", "whole"], "on_oom": ["whole", "whole", "tiles"], "on": ["tiles", "tiles"]}


@pytest.mark.parametrize(("tiling", "first"), [("off", "whole"), ("on_oom", "whole"), ("on", "tiles")])
def test_memory_that_lacked_once_is_freed_and_the_same_is_tried_again(tiling, first):
    undisturbed, vae = FakeVae(), FakeVae(failures=1)
    wanted = Decoder(undisturbed).decode(grey(0.1, side=3), Numerics(vae_tiling=tiling))
    ((picture, said),) = Decoder(vae).decode(grey(0.1, side=3), Numerics(vae_tiling=tiling))
    assert vae.tried == [first, first]
    assert np.array_equal(picture, wanted[0][0])
    assert said == wanted[0][1] == ({"vae_tiled": True} if tiling == "on" else {})


@pytest.mark.parametrize("tiling", ["off", "on_oom", "on"])
def test_memory_that_always_lacks_is_said_after_every_way_that_is_allowed(tiling):
    vae = FakeVae(failures=9)
    with pytest.raises(OutOfMemory, match=r"20\.00 GiB"):
        Decoder(vae).decode(grey(0.1, side=3), Numerics(vae_tiling=tiling))
    assert vae.tried == WAYS[tiling]
    assert not vae.tiling


def test_tiles_are_used_only_where_the_whole_does_not_fit_and_are_said():
    fitting, vae = FakeVae(), FakeVae(fits=False)
    on_oom = Numerics(vae_tiling="on_oom")
    assert Decoder(fitting).decode(grey(0.1, side=3), on_oom)[0][1] == {}
    ((picture, said),) = Decoder(vae).decode(grey(0.1, side=3), on_oom)
    assert said == {"vae_tiled": True}
    assert np.array_equal(picture, Decoder(FakeVae()).decode(grey(0.1, side=3), Numerics(vae_tiling="on"))[0][0])
    with pytest.raises(OutOfMemory):
        Decoder(vae).decode(grey(0.1, side=3), PLAIN)


def test_what_is_no_larger_than_a_tile_is_never_decoded_in_tiles_nor_said_to_be():
    vae = FakeVae(fits=False)
    with pytest.raises(OutOfMemory):
        Decoder(vae).decode(grey(0.1, side=2), Numerics(vae_tiling="on_oom"))
    assert vae.tried == ["whole", "whole"]
    assert Decoder(FakeVae()).decode(grey(0.1, side=2), Numerics(vae_tiling="on"))[0][1] == {}


@pytest.mark.parametrize("tiling", ["on_oom", "on"])
def test_tiles_do_not_leak_into_the_next_picture(tiling):
    vae = FakeVae(levels=4, fits=False)
    decoder = Decoder(vae)
    decoder.decode(grey(0.1, count=2, side=33), Numerics(vae_tiling=tiling))
    vae.fits, vae.tried = True, []
    assert decoder.decode(grey(0.1, side=3), PLAIN)[0][1] == {}
    assert vae.tried == ["whole"]


def test_an_overflow_is_decoded_again_in_fp32_in_the_tiles_that_memory_asks_for():
    vae = FakeVae(dtype=torch.float16, fits=False)
    latents = torch.cat([grey(0.1, side=3), grey(20.0, side=3)])
    pictures = Decoder(vae).decode(latents, Numerics(vae_tiling="on_oom"))
    assert [said for _, said in pictures] == [{"vae_tiled": True}, {"decode_fp32_retry": True, "vae_tiled": True}]
    assert vae.dtype is torch.float16
    assert not vae.tiling


def demo_decoder(vae_class=AutoencoderKL):
    return Decoder(vae_class.from_pretrained(shipped_model("demo_shapes") / "vae").eval())


class Narrow(AutoencoderKL):
    """Memory suffices for one tile of it and no more."""

    def _decode(self, z, return_dict=True):
        if not self.use_tiling:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super()._decode(z, return_dict)


def test_the_real_autoencoder_uses_overlapping_tiles_that_look_like_the_whole():
    latents = torch.randn((1, 4, 40, 24), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ((whole, _),) = demo_decoder().decode(latents, PLAIN)
        ((tiled, said),) = demo_decoder().decode(latents, Numerics(vae_tiling="on"))
        ((narrow, narrowly),) = demo_decoder(Narrow).decode(latents, Numerics(vae_tiling="on_oom"))
    assert said == narrowly == {"vae_tiled": True}
    assert np.array_equal(tiled, narrow)
    assert whole.shape == tiled.shape == (160, 96, 3)
    apart = np.abs(whole.astype(int) - tiled)
    assert apart.max() > 0
    assert apart.mean() < 8
