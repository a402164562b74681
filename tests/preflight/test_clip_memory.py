"""How much memory clips are expected to take."""

import json

import pytest

from batchgen.engine import Runtime
from batchgen.job import Model, make_job
from batchgen.preflight.clip_memory import clips
from batchgen.preflight.memory import Memory, tight_clips
from batchgen.shipped import shipped_model

GB = 10**9
CONFIGS = {
    "vae": {
        "block_out_channels": [128, 256, 256, 512],
        "temporal_compression_ratio": 4,
        "latent_channels": 16,
        "sample_height": 480,
        "sample_width": 720,
    },
    "transformer": {"patch_size": 2, "num_attention_heads": 48, "attention_head_dim": 64},
    "text_encoder": {},
}
NUMBERS = {"vae": 215_583_907, "transformer": 5_570_283_072, "text_encoder": 4_762_310_656}
WEIGHTS = {"vae": "diffusion_pytorch_model", "transformer": "diffusion_pytorch_model", "text_encoder": "model"}


@pytest.fixture
def cogvideox_5b(tmp_path):
    """The configurations of CogVideoX 5B, and headers of weights that take no room."""
    for part, config in CONFIGS.items():
        folder = tmp_path / part
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        size = 2 * NUMBERS[part]
        header = json.dumps({"w": {"dtype": "BF16", "shape": [NUMBERS[part]], "data_offsets": [0, size]}}).encode()
        with (folder / f"{WEIGHTS[part]}.safetensors").open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.truncate(8 + len(header) + size)
    return Model(digest="5" * 64, family="cogvideox", name="5b", path=str(tmp_path))


def clip(model, **fields):
    usual = {"prompt": "", "seed": 0, "width": 720, "height": 480, "frames": 49, "steps": 50, "guidance_scale": 6.0}
    return make_job(model, usual | {"sampler": "cogvideox_dpm", "schedule": "simple"} | fields)


def expected(*jobs, **runtime):
    return clips(jobs, Runtime(**runtime), "cuda")


def test_each_kind_of_clip_is_told_with_its_latent(cogvideox_5b):
    found = expected(clip(cogvideox_5b), clip(cogvideox_5b, seed=1), clip(cogvideox_5b, frames=9))
    assert [str(each) for each in found] == [
        "a clip of 49 frames of 720x480 (latent 13x60x90, 16 channels)",
        "a clip of 9 frames of 720x480 (latent 3x60x90, 16 channels)",
    ]


def test_cogvideox_5b_needs_less_by_every_mode(cogvideox_5b):
    """Decoding 49 frames takes 19 GB by diffusers' documentation, which a part at a time cannot go below."""
    (whole,) = expected(clip(cogvideox_5b))
    (tiled,) = expected(clip(cogvideox_5b, vae_tiling="on"))
    assert 35 * GB < whole.bytes["full"] < 45 * GB
    assert 17 * GB < whole.bytes["offload"] < 22 * GB
    assert whole.bytes["full"] > whole.bytes["encode_first"] > whole.bytes["offload"] >= whole.bytes["sequential"]
    assert tiled.bytes["offload"] < 16 * GB
    assert tiled.bytes["sequential"] < 8 * GB


def test_fp32_doubles_it_and_no_guidance_takes_less(cogvideox_5b):
    (half,) = expected(clip(cogvideox_5b))
    (double,) = expected(clip(cogvideox_5b, precision="fp32"))
    (alone,) = expected(clip(cogvideox_5b, guidance_scale=1.0, vae_tiling="on"))
    (guided,) = expected(clip(cogvideox_5b, vae_tiling="on"))
    assert double.bytes["full"] == 2 * half.bytes["full"]
    assert alone.bytes["offload"] < guided.bytes["offload"]


def test_pictures_are_none_of_it():
    picture = make_job(
        Model(digest="0" * 64, family="sd15", name="a", path=str(shipped_model("demo_shapes"))),
        {"prompt": "", "seed": 0, "width": 64, "height": 64, "sampler": "euler", "schedule": "simple", "steps": 1}
        | {"guidance_scale": 1.0},
    )
    assert expected(picture) == []


def test_a_clip_that_a_card_will_hardly_hold_is_warned_of_with_what_may_help(cogvideox_5b):
    card = Memory(device="cuda", total=24 * GB, free=24 * GB)
    (warning,) = tight_clips([clip(cogvideox_5b)], Runtime(), card)
    assert warning.startswith("a clip of 49 frames of 720x480 (latent 13x60x90, 16 channels) takes about ")
    assert warning.endswith("and the GPU's memory has 24.0 GB; runtime.memory=offload or vae_tiling=on may help")
    assert tight_clips([clip(cogvideox_5b)], Runtime(memory="offload"), card) == []
    assert tight_clips([clip(cogvideox_5b)], Runtime(), Memory(device="cuda", total=None, free=None)) == []
