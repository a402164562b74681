"""Entries of prompts that are pictures: what they tell, what wins over it, and what of those that tell nothing."""

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from batchgen.errors import ManifestError
from batchgen.manifest import read_manifest
from batchgen.plan.pictures import with_pictures
from batchgen.plan.words import saved_text

PARAMS = (
    "a {}\nNegative prompt: dull\nSteps: {}, Sampler: Euler, CFG scale: 3, Seed: {}, Size: 64x96, Model: sd/Small.ckpt"
)
CLEAR = ", RNG: CPU, Version: v1.10.1"


class Shelf:
    """One checkpoint, of two names."""

    def by_hash(self, *_asked):
        return None

    def by_name(self, _kind, text):
        return "small" if text in ("sd/Small.ckpt", "small") else None

    def several(self, *_asked):
        return ()


@pytest.fixture
def old(place):
    """Return a maker of pictures beside the manifest; those without a text tell nothing."""
    place.confs.weights = Shelf

    def old(name, text=None):
        info = PngInfo()
        if text:
            info.add_text("parameters", text)
        path = place.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path, pnginfo=info)

    old("old/9.png", PARAMS.format("heron", 9, 1) + CLEAR)
    old("old/deep/10.png", PARAMS.format("stork", 10, 2) + CLEAR)
    return old


def test_each_picture_is_a_prompt_with_what_it_says_of_itself(place, old):
    cells = place.sweep("prompts: [{pictures: old/**/*.png}]").cells

    assert [(cell.name, cell.job.text.prompt, cell.job.seed) for cell in cells] == [
        ("10", "a stork", 2),
        ("9", "a heron", 1),
    ]
    first = cells[1].job
    assert (first.model.name, first.sampling.steps, first.canvas.height, first.text.negative_prompt) == (
        "small",
        9,
        96,
        "dull",
    )


def test_what_is_swept_wins_over_what_a_picture_says_and_so_does_what_stands_beside_it(place, old):
    sweep = place.sweep(
        "prompts: [{pictures: old/9.png, size: 64x64}]\nsweep: {steps: [3, 4]}\nseeds: 5..6\nset: {guidance_scale: 9}"
    )

    made = [(cell.job.sampling.steps, cell.job.seed) for cell in sweep.cells]
    assert made == [(3, 5), (3, 6), (4, 5), (4, 6)]
    assert {cell.job.canvas.height for cell in sweep.cells} == {64}
    assert {cell.job.sampling.guidance_scale for cell in sweep.cells} == {3.0}


def test_a_word_of_the_command_line_wins_too(place, old):
    (cell,) = place.sweep("prompts: [{pictures: old/9.png}]", {"steps": (7,)}).cells

    assert cell.job.sampling.steps == 7


def test_what_is_kept_with_a_run_asks_for_the_same(place, old):
    manifest = with_pictures(place.manifest("prompts: [{pictures: old}]\nsweep: {steps: [3]}"), (), place.confs)
    kept = place.write("kept/m.yaml", saved_text(manifest, {}))
    (place.folder / "old/9.png").unlink()

    (entry,) = read_manifest(kept).prompts

    assert (entry.text, entry.kind, entry.fields["seed"], "steps" in entry.fields) == ("a heron", "prompt", 1, False)


def test_a_picture_that_tells_nothing_is_an_error_with_its_name_and_the_count(place, old):
    old("old/a.png")
    old("old/b.png")

    with pytest.raises(ManifestError, match=r"old/a\.png: has no settings.*\(and 1 more\)") as caught:
        place.sweep("prompts: [{pictures: old/**/*.png}]")
    assert caught.value.where.endswith("m.yaml:1")


def test_lenient_passes_over_it_and_says_so(place, old):
    old("old/a.png")
    old("old/tiling.png", PARAMS.format("crane", 5, 3) + CLEAR + ", Tiling: True")

    sweep = place.sweep("prompts: [{pictures: old/**/*.png, lenient: true}]")

    assert len(sweep.cells) == 3
    said = " ".join(sweep.warnings)
    assert "1 that tell nothing were passed over" in said
    assert "left out: Tiling 'True': is not done here" in said


def test_what_will_not_be_the_same_is_said(place, old):
    old("old/sde.png", PARAMS.format("crane", 5, 3).replace("Euler", "DPM++ SDE Karras"))

    assert any("graphics card" in text for text in place.sweep("prompts: [{pictures: old/sde.png}]").warnings)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("{pictures: none/*.png}", "there is none at"),
        ("{pictures: ~nobody-here/*.png}", "there is none at"),
        ("{pictures: old, name: x}", "belong to the pictures"),
        ("{pictures: old, lenient: 7}", "true or false"),
        ("{pictures: old, prompt: x}", "exactly one"),
    ],
)
def test_what_is_wrong_is_refused(place, old, entry, reason):
    with pytest.raises(ManifestError, match=reason):
        place.sweep(f"prompts: [{entry}]")
