"""What models of clips make of a size, by configurations such as the released ones have."""

import json
from pathlib import Path
from typing import Any

import pytest

from batchgen.errors import ModelError
from batchgen.job import Model
from batchgen.models.clips import check_clip, grain
from batchgen.models.families import FAMILIES
from batchgen.models.training import check_training
from batchgen.parts import Canvas, Motion
from batchgen.shipped import shipped_model

COGVIDEOX = {"block_out_channels": [128, 256, 256, 512], "temporal_compression_ratio": 4, "latent_channels": 16}
PLACES = {"patch_size": 2, "sample_width": 90, "sample_height": 60}
LTX = {"latent_channels": 128, "spatio_temporal_scaling": [True, True, True, False], "patch_size": 4, "patch_size_t": 1}

MODELS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "5b": ("cogvideox", COGVIDEOX, PLACES),
    "5b_i2v": ("cogvideox_i2v", COGVIDEOX, PLACES | {"use_learned_positional_embeddings": True}),
    "1.5": ("cogvideox", COGVIDEOX, PLACES | {"patch_size_t": 2}),
    "wan2.1": ("wan", {"z_dim": 16}, {"patch_size": [1, 2, 2]}),
    "wan2.2_5b": (
        "wan",
        {"z_dim": 48, "scale_factor_spatial": 16, "scale_factor_temporal": 4, "patch_size": 2},
        {"patch_size": [1, 2, 2]},
    ),
    "ltx": ("ltx", LTX, {"patch_size": 1, "patch_size_t": 1}),
}


@pytest.fixture
def model(tmp_path: Path) -> Any:
    def of(name: str) -> Model:
        family, vae, transformer = MODELS[name]
        for part, config in (("vae", vae), ("transformer", transformer)):
            (tmp_path / part).mkdir(exist_ok=True)
            (tmp_path / part / "config.json").write_text(json.dumps(config))
        return Model(digest="0" * 64, family=family, name=name, path=str(tmp_path))

    return of


@pytest.mark.parametrize(
    ("name", "size", "frames", "latent", "tokens"),
    [
        # The numbers of the papers: 226 tokens of text and 17550 of CogVideoX 5B; 75600 of Wan 14B at 720p.
        ("5b", (720, 480), 49, (13, 60, 90, 16), 17550),
        ("1.5", (1360, 768), 81, (22, 96, 170, 16), 44880),
        ("wan2.1", (1280, 720), 81, (21, 90, 160, 16), 75600),
        ("wan2.2_5b", (1280, 704), 121, (31, 44, 80, 48), 27280),
        ("ltx", (704, 480), 161, (21, 15, 22, 128), 6930),
        ("ltx", (704, 480), 1, (1, 15, 22, 128), 330),
    ],
)
def test_a_latent_is_as_large_as_the_configurations_say(
    model: Any, name: str, size: tuple[int, int], frames: int, latent: tuple[int, ...], tokens: int
) -> None:
    found = grain(model(name))
    canvas, motion = Canvas(width=size[0], height=size[1]), Motion(frames=frames)
    assert found is not None
    assert (*found.latent(canvas, motion), found.channels) == latent
    assert found.tokens(canvas, motion) == tokens


def test_the_embedded_model_sees_finer_than_its_family() -> None:
    model = Model(digest="0" * 64, family="cogvideox", name="demo", path=str(shipped_model("demo_motion")))
    found = grain(model)
    assert found is not None
    assert found.latent(Canvas(width=48, height=48), Motion(frames=9)) == (3, 12, 12)


def test_a_model_that_was_taught_one_size_makes_no_other(model: Any) -> None:
    check_clip(model("5b_i2v"), Canvas(width=720, height=480))
    with pytest.raises(ModelError, match=r"^height 512: model '5b_i2v' was taught one size, 720x480$"):
        check_clip(model("5b_i2v"), Canvas(width=720, height=512))


def test_a_model_that_sees_coarser_than_its_family_says_the_nearest_sizes(model: Any) -> None:
    check_clip(model("wan2.2_5b"), Canvas(width=1280, height=704))
    with pytest.raises(
        ModelError, match=r"^height 720 is no multiple of 32, as model 'wan2.2_5b' needs it; nearest: 704, 736$"
    ):
        check_clip(model("wan2.2_5b"), Canvas(width=1280, height=720))


def test_of_pictures_and_of_what_is_not_here_nothing_is_said(tmp_path: Path) -> None:
    assert grain(Model(digest="0" * 64, family="sd15", name="a", path=str(shipped_model("demo_shapes")))) is None
    assert grain(Model(digest="0" * 64, family="wan", name="a", path=str(tmp_path / "nowhere"))) is None
    check_clip(
        Model(digest="0" * 64, family="wan", name="a", path=str(tmp_path / "nowhere")), Canvas(width=8, height=8)
    )


@pytest.mark.parametrize("broken", ["[]", "{}", '{"z_dim": 16, "scale_factor_spatial": "8"'])
def test_a_damaged_configuration_is_named(model: Any, tmp_path: Path, broken: str) -> None:
    wan = model("wan2.1")
    (tmp_path / "vae" / "config.json").write_text(broken)
    with pytest.raises(ModelError, match=r"vae/config\.json: "):
        grain(wan)


def test_a_wan_of_two_denoisers_is_refused_before_anything_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text("{}")
    index = tmp_path / "model_index.json"
    index.write_text('{"_class_name": "WanPipeline", "transformer_2": [null, null], "boundary_ratio": null}')
    check_training(tmp_path, FAMILIES["wan"])
    index.write_text('{"_class_name": "WanPipeline", "transformer_2": ["diffusers", "WanTransformer3DModel"]}')
    with pytest.raises(ModelError, match=r"model_index\.json: has two denoisers \(transformer_2\), and batchgen"):
        check_training(tmp_path, FAMILIES["wan"])


def test_of_cogvideox_levels_without_any_signal_are_known_and_of_others_not(tmp_path: Path) -> None:
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "model_index.json").write_text("{}")
    config = tmp_path / "scheduler" / "scheduler_config.json"
    config.write_text('{"rescale_betas_zero_snr": true, "prediction_type": "v_prediction"}')
    check_training(tmp_path, FAMILIES["cogvideox"])
    with pytest.raises(ModelError, match="zero terminal SNR"):
        check_training(tmp_path, FAMILIES["sd15"])
    config.write_text('{"rescale_betas_zero_snr": true, "prediction_type": "sample"}')
    with pytest.raises(ModelError, match="prediction_type 'sample' is not supported"):
        check_training(tmp_path, FAMILIES["cogvideox"])
