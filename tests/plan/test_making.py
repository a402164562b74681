"""From a manifest's words about files to jobs with files in them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchgen.errors import ManifestError, ModelError, UsageError
from batchgen.job import UPSCALER, File, Stage
from batchgen.parts import Start
from batchgen.plan.making import _without_tags
from batchgen.plan.names import file_stem


def job(place, text):
    (cell,) = place.sweep(text).cells
    return cell.job


def loras(found):
    return [(lora.file.name, lora.scale, lora.clip_scale) for lora in found.loras]


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("grain", [("grain", 1.0, 1.0)]),
        ("grain:0.8", [("grain", 0.8, 0.8)]),
        ("[grain:0.8:0.6, outlined]", [("grain", 0.8, 0.6), ("outlined", 1.0, 1.0)]),
        ("[{name: grain, scale: 0, clip_scale: 0.5}]", [("grain", 0.0, 0.5)]),
        ("none", []),
        ("[]", []),
    ],
)
def test_adapters_are_found_by_name(place, written, wanted):
    assert loras(job(place, f"prompts: [x]\nset: {{loras: {written}}}")) == wanted


@pytest.mark.parametrize(
    "extra",
    [
        "loras: 'grain:0'",
        "loras: [{name: grain, scale: 0, trigger: film}]",
        "loras: grain, lora_scale: 0",
        "loras: none",
    ],
)
def test_an_adapter_of_no_scale_is_the_job_without_it(place, extra):
    plain = job(place, "prompts: [x]")
    assert job(place, f"prompts: [x]\nset: {{{extra}}}").id == plain.id
    assert job(place, "prompts: ['x <lora:grain:0>']").id == plain.id


def test_a_scale_of_all_adapters_is_an_axis(place):
    cells = place.sweep("prompts: [x]\nset: {loras: 'grain:0.8:0.4'}\nsweep: {lora_scale: [0, 0.5, 1]}").cells
    assert [loras(cell.job) for cell in cells] == [[], [("grain", 0.4, 0.2)], [("grain", 0.8, 0.4)]]


def test_trigger_words_are_added_once_and_recorded(place):
    set_ = "set: {loras: [{name: grain, trigger: film}, {name: striped, trigger: stripes}]}"
    assert job(place, f"prompts: [a fox]\n{set_}").recipe["prompt"] == "a fox, film, stripes"
    assert job(place, f"prompts: [a film of stripes]\n{set_}").recipe["prompt"] == "a film of stripes"


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [
        ("<lora:grain:0.8>", ("grain", 0.8, 0.8)),
        ("<lora:grain>", ("grain", 1.0, 1.0)),
        ("<lora:grain:0.5:0.8>", ("grain", 0.8, 0.5)),
        ("<lora:grain:te=0.5:unet=0.8>", ("grain", 0.8, 0.5)),
        ("<lora:grain:unet=0.8>", ("grain", 0.8, 0.8)),
    ],
)
def test_tags_in_a_prompt_are_read_as_a1111_means_them(place, tag, wanted):
    found = job(place, f"prompts: ['a fox {tag}']")
    assert found.text.prompt == "a fox"
    assert loras(found) == [wanted]


@pytest.mark.parametrize("tag", ["<lora:grain:much>", "<lora:grain:1:2:3:4>", "<lora:grain:dyn=4>"])
def test_a_tag_that_cannot_be_meant_is_an_error(place, tag):
    with pytest.raises(ManifestError, match=r"<lora:grain:"):
        job(place, f"prompts: ['a fox {tag}']")


def test_where_a_prompt_is_literal_nothing_in_it_is_a_name(place):
    text = "a <lora:grain:1> embedding:cosy"
    found = job(place, f"prompts: ['{text}']\nset: {{emphasis: none}}")
    assert found.text.prompt == text
    assert not found.loras
    assert not found.embeddings


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_prompt_without_tags_stays_what_it_is(text):
    if "<lora:" not in text:
        assert _without_tags(text) == (text, ())


@pytest.mark.parametrize(
    ("prompt", "emphasis", "wanted"),
    [
        ("a embedding:cosy room", "comfy", ["cosy"]),
        ("(embedding:ugly:1.2), embedding:cosy.", "comfy", ["cosy", "ugly"]),
        ("a cosy room", "comfy", []),
        ("a (cosy:1.3) room", "a1111", ["cosy"]),
        ("a Cosy room, cosyness", "a1111", ["Cosy"]),
        ("embedding:cosy cosy", "a1111", ["cosy"]),
        ("cosyness", "a1111", []),
    ],
)
def test_embeddings_are_named_by_prompts(place, confs, prompt, emphasis, wanted):
    confs.beside.known["embedding"] += ["Cosy"] if "Cosy" in wanted else []
    found = job(place, f"prompts: ['{prompt}']\nset: {{emphasis: {emphasis}}}")
    assert [each.name for each in found.embeddings] == wanted
    assert found.text.prompt == prompt


def test_negative_prompts_name_them_too(place):
    found = job(place, "prompts: [x]\nset: {negative_prompt: 'embedding:ugly'}")
    assert [each.name for each in found.embeddings] == ["ugly"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("set: {loras: grian}", "unknown lora 'grian'; did you mean 'grain'"),
        ("set: {loras: misfit}", "misfit is of another family than small"),
        ("set: {vae: x}", "unknown vae"),
        ("set: {negative_prompt: 'embedding:cosi'}", "unknown embedding 'cosi'; did you mean 'cosy'"),
        ("set: {upscale: shrap}", "unknown upscaler 'shrap'; did you mean 'sharp'"),
        ("set: {hires: {upscaler: bicubicc}}", "unknown upscaler 'bicubicc'"),
    ],
)
def test_what_is_not_here_or_does_not_fit_is_an_error_while_planning(place, text, said):
    with pytest.raises(ModelError, match=said):
        place.sweep(f"prompts: [x]\n{text}")


def test_a_vae_is_an_axis_and_none_is_the_model_s_own(place):
    cells = place.sweep("prompts: [x]\nsweep: {vae: [none, clear]}").cells
    assert [cell.job.vae and cell.job.vae.name for cell in cells] == [None, "clear"]
    assert cells[0].job.id == job(place, "prompts: [x]").id


def test_a_picture_gives_its_size_unless_one_is_asked_for(place, confs):
    confs.beside.sizes["fox.png"] = (101, 77)
    own = job(place, "prompts: [x]\nset: {init_image: fox.png, strength: 0.4}")
    assert (own.canvas.width, own.canvas.height) == (96, 72)
    assert own.init_image.path == str(place.folder / "fox.png")
    assert own.start == Start(strength=0.4)
    asked = job(place, "prompts: [x]\nset: {init_image: fox.png, size: 64x64}")
    assert (asked.canvas.width, asked.canvas.height) == (64, 64)


def test_masks_are_paired_with_pictures_by_stem_and_a_missing_one_is_named(place, confs):
    confs.beside.sizes |= dict.fromkeys(["fox.png", "heron.png"], (64, 64))
    text = """
        prompts: [x]
        set: {mask_image: "masks/{stem}-m.png"}
        sweep: {init_image: [fox.png, heron.png]}
    """
    confs.beside.sizes |= dict.fromkeys(["fox-m.png"], (64, 64))
    with pytest.raises(ManifestError, match=r"heron-m\.png"):
        place.sweep(text)
    confs.beside.sizes |= dict.fromkeys(["heron-m.png"], (64, 64))
    cells = place.sweep(text).cells
    assert [(cell.job.init_image.name, cell.job.mask_image.name) for cell in cells] == [
        ("fox.png", "fox-m.png"),
        ("heron.png", "heron-m.png"),
    ]
    assert cells[0].job.mask_image.path == str(place.folder / "masks/fox-m.png")


def test_alpha_is_a_mask_and_a_mask_of_nothing_is_an_error(place, confs):
    confs.beside.sizes["fox.png"] = (64, 64)
    found = job(place, "prompts: [x]\nset: {init_image: fox.png, mask_image: alpha, mask_grow: 3}")
    assert found.start.mask_alpha
    assert found.mask_image is None
    for mask in ("alpha", "m.png"):
        with pytest.raises(ManifestError, match="no init_image that it could be a mask of"):
            job(place, f"prompts: [x]\nset: {{mask_image: {mask}}}")


def test_what_only_masks_mean_makes_no_other_job_without_one(place, confs):
    confs.beside.sizes["fox.png"] = (64, 64)
    plain = job(place, "prompts: [x]\nset: {init_image: fox.png}")
    assert job(place, "prompts: [x]\nset: {init_image: fox.png, mask_blur: 4, mask_padding: 8}").id == plain.id
    assert job(place, "prompts: [x]\nset: {strength: 0.3, mask_blur: 4}").id == job(place, "prompts: [x]").id


def test_a_picture_that_is_not_here_is_named_with_its_place(place):
    with pytest.raises(ManifestError, match="there is no such picture") as said:
        job(place, "prompts: [x]\nset: {init_image: nowhere.png}")
    assert "nowhere.png" in str(said.value)


def test_the_stem_of_the_source_is_in_the_name_of_the_output(place, confs):
    confs.beside.sizes |= dict.fromkeys(["old fox.png", "heron.png"], (64, 64))
    sweep = place.sweep("prompts: [in snow]\nset: {init_image: old fox.png}")
    assert file_stem(sweep.cells[0], sweep.varying).startswith("old-fox-in-snow_s0_")
    axis = place.sweep("prompts: [in snow]\nsweep: {init_image: [old fox.png, heron.png]}")
    stems = [file_stem(cell, axis.varying) for cell in axis.cells]
    assert "old-fox" in stems[0]
    assert "heron" in stems[1]
    upscaled = place.sweep("prompts: [x]\nset: {init_image: heron.png, upscale: sharp}")
    assert file_stem(upscaled.cells[0], upscaled.varying).startswith("heron-x_s0_")


def test_an_upscaling_is_a_job_of_its_own_on_the_finished_picture(place):
    plain = job(place, "prompts: [x]")
    for written, sides in (
        ("sharp", (128, 128)),
        ("{model: soft}", (256, 256)),
        ("{model: soft, scale: 1.5}", (96, 96)),
    ):
        found = job(place, f"prompts: [x]\nset: {{upscale: {written}}}")
        assert found.model.family == UPSCALER
        assert (found.canvas.width, found.canvas.height) == sides
        assert found.init_image == Stage(job=plain)
        assert found.unsampled


def test_hires_is_a_second_pass_at_a_multiple_of_the_family(place):
    plain = job(place, "prompts: [x]\nset: {size: 72x64}")
    found = job(place, "prompts: [x]\nset: {size: 72x64, hires: {scale: 1.6, strength: 0.4, steps: 12}}")
    assert found.stages == (plain,)
    assert (found.canvas.width, found.canvas.height) == (112, 104)
    assert (found.sampling.steps, found.start.strength) == (12, 0.4)
    assert found.text == plain.text
    by_model = job(place, "prompts: [x]\nset: {size: 72x64, hires: {upscaler: sharp}}")
    (middle,) = by_model.stages
    assert middle.model.name == "sharp"
    assert middle.canvas == by_model.canvas
    assert by_model.first == plain


def test_hires_after_a_picture_keeps_no_mask(place, confs):
    confs.beside.sizes |= dict.fromkeys(["fox.png", "m.png"], (64, 64))
    found = job(place, "prompts: [x]\nset: {init_image: fox.png, mask_image: m.png, hires: 2}")
    assert found.mask_image is None
    assert isinstance(found.stages[0].mask_image, File)


BUNDLES = """
    prompts: [x]
    seeds: [1, 2]
    bundles:
      pass:
        draft: {steps: 4}
        fine: {init_image: {from: draft}, steps: 20, strength: 0.5}
"""


def test_an_option_may_begin_with_what_another_makes(place):
    cells = place.sweep(BUNDLES).cells
    drafts = {cell.job.seed: cell.job for cell in cells if cell.coordinates["pass"] == "draft"}
    fine = [cell.job for cell in cells if cell.coordinates["pass"] == "fine"]
    assert len(fine) == 2
    for each in fine:
        assert each.stages == (drafts[each.seed],)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bundles: {p: {a: {init_image: {from: b}}, b: {init_image: {from: a}}}}", "begins with itself"),
        ("bundles: {p: {a: {init_image: {from: a}}}}", "begins with itself"),
        ("bundles: {p: {draft: {steps: 4}, b: {init_image: {from: drafft}}}}", "unknown option 'drafft'; did you"),
        ("set: {init_image: {from: draft}}", "stands in an option of a bundle"),
    ],
)
def test_a_beginning_that_cannot_be_is_an_error(place, text, said):
    with pytest.raises(UsageError, match=said):
        place.sweep(f"prompts: [x]\n{text}")
