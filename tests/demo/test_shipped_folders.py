"""What the embedded models have in common as folders."""

import pytest
from safetensors import safe_open

from batchgen.shipped import shipped_model

MOST = {"demo_shapes": 12_000_000, "demo_motion": 15_000_000}
"""Bytes."""

PRECISIONS = {
    "demo_shapes": {"unet": "F16", "vae": "F16", "text_encoder": "F32"},
    "demo_motion": {"transformer": "F16", "vae": "F16", "text_encoder": "F32"},
}


@pytest.mark.parametrize(("name", "most"), MOST.items())
def test_the_folder_is_small_enough_to_ship(name, most):
    assert sum(path.stat().st_size for path in shipped_model(name).rglob("*") if path.is_file()) <= most


@pytest.mark.parametrize("name", PRECISIONS)
def test_weights_are_of_the_precision_that_loads_without_a_dtype(name):
    for part, dtype in PRECISIONS[name].items():
        (path,) = (shipped_model(name) / part).glob("*.safetensors")
        with safe_open(path, framework="pt") as weights:
            kinds = {weights.get_slice(tensor).get_dtype() for tensor in weights.keys()}  # noqa: SIM118 - not a mapping

        assert kinds == {dtype}


@pytest.mark.parametrize("name", MOST)
def test_no_file_names_the_machine_that_made_it(name):
    found = (path for suffix in ("json", "txt", "md") for path in shipped_model(name).rglob(f"*.{suffix}"))
    texts = [path.read_text(encoding="utf-8") for path in found]

    assert texts
    assert not any("/work" in text or "/tmp" in text or "/home" in text for text in texts)
