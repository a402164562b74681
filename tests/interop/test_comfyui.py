import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchgen.interop.comfyui import read_comfyui
from batchgen.interop.comfyui_graph import parse
from batchgen.interop.comfyui_nodes import KINDS
from batchgen.interop.imported import Needed, Unreadable


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def one(graph):
    (found,) = read_comfyui(graph, "w.json")
    return found


def reasons(graph):
    return [str(each) for found in read_comfyui(graph, "w.json")[:1] for each in found.refused]


def second_pass(graph, latent, **changes):
    """Add a second KSampler that begins with `latent`, and save what it makes instead."""
    graph["30"] = node("KSampler", **{**graph["3"]["inputs"], "latent_image": latent, "denoise": 0.5, "steps": 12})
    graph["30"]["inputs"] |= changes
    graph["31"] = node("VAEDecode", samples=["30", 0], vae=["4", 2])
    graph["9"]["inputs"]["images"] = ["31", 0]
    return graph


def test_text_to_image_says_every_field(comfy_graph, text_to_image):
    found = one(comfy_graph())

    assert found.recipe == text_to_image
    assert found.checkpoint == Needed(kind="checkpoint", name="sd15/base.safetensors")
    assert (found.name, found.warnings, found.refused) == (None, (), ())


def test_a_bare_nan_is_read(comfy_graph, text_to_image):
    graph = comfy_graph()
    graph["9"]["is_changed"] = float("nan")

    found = one(parse(json.dumps(graph), "p.png"))

    assert found.recipe == text_to_image


def test_the_envelope_of_the_api_is_opened(comfy_graph, text_to_image):
    assert one({"prompt": comfy_graph(), "client_id": "x"}).recipe == text_to_image


def test_clip_skip_counts_as_a1111_counts(comfy_graph):
    graph = comfy_graph(n10=node("CLIPSetLastLayer", clip=["4", 1], stop_at_clip_layer=-2))
    for each in ("6", "7"):
        graph[each]["inputs"]["clip"] = ["10", 0]

    assert one(graph).recipe["clip_skip"] == 2


def test_prompts_read_by_different_encoders_are_refused(comfy_graph):
    graph = comfy_graph(n10=node("CLIPSetLastLayer", clip=["4", 1], stop_at_clip_layer=-2), n6_clip=["10", 0])

    assert reasons(graph) == ["node 3 (KSampler): its prompts are read by different text encoders"]


def test_loras_are_in_the_order_of_their_chain(comfy_graph):
    graph = comfy_graph(
        n10=node(
            "LoraLoader", model=["4", 0], clip=["4", 1], lora_name="b.safetensors", strength_model=1, strength_clip=1
        ),
        n11=node(
            "LoraLoader",
            model=["10", 0],
            clip=["10", 1],
            lora_name="x\\a.safetensors",
            strength_model=0.8,
            strength_clip=0.5,
        ),
        n12=node("LoraLoaderModelOnly", model=["11", 0], lora_name="c.safetensors", strength_model=0.3),
        n13=node("LoraLoader", model=["12", 0], clip=["11", 1], lora_name="d.pt", strength_model=0, strength_clip=0),
        n3_model=["13", 0],
        n6_clip=["13", 1],
        n7_clip=["13", 1],
    )

    found = one(graph)

    assert found.recipe["loras"] == [
        {"name": "b.safetensors", "scale": 1.0},
        {"name": "x/a.safetensors", "scale": 0.8, "clip_scale": 0.5},
        {"name": "c.safetensors", "scale": 0.3, "clip_scale": 0.0},
    ]
    assert [each.name for each in found.files] == ["b.safetensors", "x/a.safetensors", "c.safetensors"]


def test_a_vae_of_its_own_is_a_field(comfy_graph):
    graph = comfy_graph(n10=node("VAELoader", vae_name="ft-mse.safetensors"), n8_vae=["10", 0])

    assert one(graph).recipe["vae"] == "ft-mse.safetensors"


def test_embeddings_are_looked_for(comfy_graph):
    graph = comfy_graph(n7_text="embedding:easynegative, (embedding:hands:1.2)")

    assert [each.name for each in one(graph).files] == ["easynegative", "hands"]


def test_a_batch_is_as_many_pictures_under_one_seed(comfy_graph, text_to_image):
    found = read_comfyui(comfy_graph(n5_batch_size=3), "w.json")

    assert [each.recipe.get("noise_index", 0) for each in found] == [0, 1, 2]
    assert {each.recipe["seed"] for each in found} == {0}
    assert found[1].recipe == text_to_image | {"noise_index": 1}


def test_where_steps_draw_noise_the_size_of_the_batch_matters(comfy_graph):
    found = read_comfyui(comfy_graph(n5_batch_size=3, n3_sampler_name="euler_ancestral"), "w.json")

    assert [each.recipe.get("noise_rows", 1) for each in found] == [3, 3, 1]  # the last needs none behind it
    assert not found[0].warnings


@pytest.mark.parametrize(("sampler", "rows"), [("euler", 1), ("euler_ancestral", 4)])
def test_one_picture_of_a_batch_can_be_picked(comfy_graph, sampler, rows):
    picked = node("LatentFromBatch", samples=["3", 0], batch_index=2, length=1)
    recipe = one(comfy_graph(n5_batch_size=4, n3_sampler_name=sampler, n10=picked, n8_samples=["10", 0])).recipe

    assert (recipe["noise_index"], recipe.get("noise_rows", 1)) == (2, rows)


def test_a_batch_without_end_is_refused(comfy_graph):
    assert "batch_size 1000000000" in reasons(comfy_graph(n5_batch_size=10**9))[0]


def test_image_to_image_says_where_it_begins(comfy_graph, text_to_image):
    graph = comfy_graph(
        n10=node("LoadImage", image="old\\photo.png [input]", upload="image"),
        n11=node("VAEEncode", pixels=["10", 0], vae=["4", 2]),
        n3_latent_image=["11", 0],
        n3_denoise=0.6,
    )

    expected = {key: value for key, value in text_to_image.items() if key not in ("width", "height")}
    assert one(graph).recipe == expected | {"init_image": "old/photo.png", "strength": 0.6}


@pytest.mark.parametrize(("crop", "resize"), [("center", "crop"), ("disabled", "stretch")])
def test_a_picture_brought_to_a_size_says_how(comfy_graph, crop, resize):
    scale = node("ImageScale", image=["10", 0], upscale_method="lanczos", width=640, height=512, crop=crop)
    graph = comfy_graph(
        n10=node("LoadImage", image="photo.png"),
        n11=node("VAEEncode", pixels=["12", 0], vae=["4", 2]),
        n12=scale,
        n3_latent_image=["11", 0],
        n3_denoise=0.6,
    )

    recipe = one(graph).recipe

    assert (recipe["width"], recipe["height"]) == (640, 512)
    assert (recipe["resize"], recipe["resize_filter"]) == (resize, "lanczos")


def test_inpainting_with_grey_under_the_mask(comfy_graph):
    encode = node("VAEEncodeForInpaint", pixels=["10", 0], vae=["4", 2], mask=["10", 1], grow_mask_by=6)
    graph = comfy_graph(n10=node("LoadImage", image="photo.png"), n11=encode, n3_latent_image=["11", 0])

    recipe = one(graph).recipe

    assert recipe["mask_image"] == "alpha"
    assert (recipe["mask_content"], recipe["mask_grow"], recipe["strength"]) == ("neutral", 6, 1.0)


def test_inpainting_with_the_picture_under_the_mask(comfy_graph):
    graph = comfy_graph(
        n10=node("LoadImage", image="photo.png"),
        n11=node("VAEEncode", pixels=["10", 0], vae=["4", 2]),
        n12=node("LoadImageMask", image="mask.png", channel="red"),
        n13=node("SetLatentNoiseMask", samples=["11", 0], mask=["12", 0]),
        n3_latent_image=["13", 0],
        n3_denoise=0.7,
    )

    recipe = one(graph).recipe

    assert (recipe["mask_image"], recipe["mask_content"], recipe["mask_grow"]) == ("mask.png", "original", 0)


def test_another_pictures_alpha_is_no_mask(comfy_graph):
    encode = node("VAEEncodeForInpaint", pixels=["10", 0], vae=["4", 2], mask=["12", 1], grow_mask_by=6)
    graph = comfy_graph(
        n10=node("LoadImage", image="a.png"),
        n12=node("LoadImage", image="b.png"),
        n11=encode,
        n3_latent_image=["11", 0],
    )

    assert reasons(graph) == ["node 11 (VAEEncodeForInpaint): its mask is the alpha of another picture, 'b.png'"]


@pytest.mark.parametrize(
    "enlarge",
    [
        node("LatentUpscaleBy", samples=["3", 0], upscale_method="bilinear", scale_by=1.5),
        node("LatentUpscale", samples=["3", 0], upscale_method="bilinear", width=768, height=1152, crop="disabled"),
        node("LatentUpscale", samples=["3", 0], upscale_method="bilinear", width=768, height=0, crop="disabled"),
    ],
)
def test_a_second_pass_over_latents_is_hires_with_a_warning(comfy_graph, enlarge):
    found = one(second_pass(comfy_graph(n20=enlarge), ["20", 0]))

    assert found.recipe["hires"] == {"scale": 1.5, "upscaler": "bilinear", "strength": 0.5, "steps": 12}
    assert found.recipe["steps"] == 20
    assert any("pixels will differ" in warning for warning in found.warnings)
    assert not found.refused


def test_a_second_pass_over_the_enlarged_picture_is_hires(comfy_graph):
    graph = comfy_graph(
        n20=node("ImageScaleBy", image=["8", 0], upscale_method="bicubic", scale_by=2.0),
        n21=node("VAEEncode", pixels=["20", 0], vae=["4", 2]),
    )

    found = one(second_pass(graph, ["21", 0]))

    assert found.recipe["hires"] == {"scale": 2.0, "upscaler": "bicubic", "strength": 0.5, "steps": 12}
    assert (found.warnings, found.refused) == ((), ())


def test_a_second_pass_after_an_upscaler_names_it(comfy_graph):
    graph = comfy_graph(
        n20=node("UpscaleModelLoader", model_name="4x-UltraSharp.pth"),
        n21=node("ImageUpscaleWithModel", upscale_model=["20", 0], image=["8", 0]),
        n22=node("ImageScale", image=["21", 0], upscale_method="lanczos", width=1024, height=1536, crop="disabled"),
        n23=node("VAEEncode", pixels=["22", 0], vae=["4", 2]),
    )

    found = one(second_pass(graph, ["23", 0]))

    assert found.recipe["hires"] == {"scale": 2.0, "upscaler": "4x-UltraSharp.pth", "strength": 0.5, "steps": 12}
    assert found.files == (Needed(kind="upscaler", name="4x-UltraSharp.pth"),)


def test_a_second_pass_may_have_a_seed_of_its_own(comfy_graph):
    scale = node("LatentUpscaleBy", samples=["3", 0], upscale_method="bilinear", scale_by=1.5)
    graph = second_pass(comfy_graph(n20=scale), ["20", 0], seed=9)
    found = one(graph)

    assert (found.recipe["seed"], found.recipe["hires"]["seed"]) == (0, 9)
    assert not found.refused


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"cfg": 3}, "model, prompts or guidance"), ({"scheduler": "simple"}, "schedule")],
)
def test_a_second_pass_with_words_of_its_own_is_refused(comfy_graph, changes, what):
    scale = node("LatentUpscaleBy", samples=["3", 0], upscale_method="bilinear", scale_by=1.5)
    graph = second_pass(comfy_graph(n20=scale), ["20", 0], **changes)

    assert reasons(graph) == [f"node 30 (KSampler): has another {what} than the first pass, node 3"]


def test_a_model_enlarges_what_is_finished(comfy_graph):
    graph = comfy_graph(
        n20=node("UpscaleModelLoader", model_name="4x-UltraSharp.pth"),
        n21=node("ImageUpscaleWithModel", upscale_model=["20", 0], image=["8", 0]),
        n9_images=["21", 0],
    )

    assert one(graph).recipe["upscale"] == {"model": "4x-UltraSharp.pth"}


def test_a_size_after_the_upscaler_is_its_scale(comfy_graph):
    graph = comfy_graph(
        n20=node("UpscaleModelLoader", model_name="4x-UltraSharp.pth"),
        n21=node("ImageUpscaleWithModel", upscale_model=["20", 0], image=["8", 0]),
        n22=node("ImageScale", image=["21", 0], upscale_method="lanczos", width=1024, height=1536, crop="disabled"),
        n9_images=["22", 0],
    )

    assert one(graph).recipe["upscale"] == {"model": "4x-UltraSharp.pth", "scale": 2.0}


def test_every_saver_is_a_picture_and_shared_nodes_are_shared(comfy_graph):
    graph = comfy_graph(
        n30=node("KSampler", **{**comfy_graph()["3"]["inputs"], "seed": 5}),
        n31=node("VAEDecode", samples=["30", 0], vae=["4", 2]),
        n32=node("SaveImage", images=["31", 0], filename_prefix="night/five"),
        n33=node("PreviewImage", images=["8", 0]),
    )

    found = read_comfyui(graph, "w.json")

    assert [(each.recipe["seed"], each.name) for each in found] == [(0, None), (5, "five")]


def test_a_preview_of_a_file_is_nothing_to_make(comfy_graph):
    graph = comfy_graph(n10=node("LoadImage", image="photo.png"), n11=node("PreviewImage", images=["10", 0]))

    found = one(graph)

    assert any("nothing to make" in warning for warning in found.warnings)
    assert not found.refused


def test_unknown_classes_are_named_all_of_them_with_their_ids(comfy_graph):
    graph = comfy_graph(
        n40=node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], strength=1.0),
        n41=node("FreeU_V2", model=["4", 0]),
        n3_positive=["40", 0],
        n3_negative=["40", 1],
        n3_model=["41", 0],
    )

    assert reasons(graph) == [
        "node 40 (ControlNetApplyAdvanced): is no class of node that is read",
        "node 41 (FreeU_V2): is no class of node that is read",
    ]


def test_what_flows_through_an_unknown_node_flows_on(comfy_graph, text_to_image):
    graph = comfy_graph(
        n40=node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], strength=1.0),
        n41=node("FreeU_V2", model=["4", 0]),
        n3_positive=["40", 0],
        n3_negative=["40", 1],
        n3_model=["41", 0],
    )

    assert one(graph).recipe == text_to_image


def test_an_unknown_saver_is_refused_but_understood(comfy_graph, text_to_image):
    graph = comfy_graph(n9=node("Image Save", images=["8", 0]))

    assert one(graph).recipe == text_to_image
    assert reasons(graph) == ["node 9 (Image Save): is no class of node that is read"]


def advanced(graph, **changes):
    inputs = {key: value for key, value in graph["3"]["inputs"].items() if key not in ("seed", "denoise")}
    given = {"add_noise": "enable", "noise_seed": 0, "start_at_step": 0, "end_at_step": 10000}
    return node("KSamplerAdvanced", **inputs | given | {"return_with_leftover_noise": "disable"} | changes)


def test_an_advanced_sampler_over_all_steps_is_a_sampler(comfy_graph, text_to_image):
    graph = comfy_graph()
    graph["3"] = advanced(graph)

    assert one(graph).recipe == text_to_image


def test_an_advanced_sampler_that_begins_late_is_strength(comfy_graph):
    graph = comfy_graph(n10=node("LoadImage", image="photo.png"), n11=node("VAEEncode", pixels=["10", 0], vae=["4", 2]))
    graph["3"] = advanced(graph, start_at_step=12, latent_image=["11", 0])

    recipe = one(graph).recipe

    assert (recipe["steps"], recipe["strength"]) == (8, 0.4)


def test_a_late_beginning_that_no_strength_says_is_refused(comfy_graph):
    graph = comfy_graph(n10=node("LoadImage", image="photo.png"), n11=node("VAEEncode", pixels=["10", 0], vae=["4", 2]))
    graph["3"] = advanced(graph, steps=14, start_at_step=5, latent_image=["11", 0])

    assert reasons(graph) == ["node 3 (KSamplerAdvanced): steps 5 to 14 are no strength of 9 steps"]


def test_two_halves_of_a_sampler_without_memory_are_one(comfy_graph, text_to_image):
    graph = comfy_graph(n3_sampler_name="euler")
    second = advanced(graph, start_at_step=8, add_noise="disable", latent_image=["3", 0], noise_seed=77)
    graph["10"], graph["3"] = second, advanced(graph, end_at_step=8, return_with_leftover_noise="enable")
    graph["8"]["inputs"]["samples"] = ["10", 0]

    assert one(graph).recipe == text_to_image | {"sampler": "euler"}


@pytest.mark.parametrize(
    "changes", [{"sampler_name": "dpmpp_2m"}, {"cfg": 3}, {"start_at_step": 9}, {"scheduler": "simple"}, {"steps": 21}]
)
def test_two_halves_that_are_no_whole_are_refused(comfy_graph, changes):
    graph = comfy_graph(n3_sampler_name="euler")
    said = {"start_at_step": 8, "add_noise": "disable", "latent_image": ["3", 0]}
    second = advanced(graph, **said | changes)
    first = advanced(graph, end_at_step=8, return_with_leftover_noise="enable")
    graph["10"], graph["3"] = second, first
    graph["8"]["inputs"]["samples"] = ["10", 0]

    with_refusal = [str(each) for each in read_comfyui(graph, "w.json")[0].refused] if _reads(graph) else _why(graph)

    assert any(reason.startswith("node 10 (KSamplerAdvanced): takes steps") for reason in with_refusal)


def _reads(graph):
    try:
        read_comfyui(graph, "w.json")
    except Unreadable:
        return False
    return True


def _why(graph):
    with pytest.raises(Unreadable) as caught:
        read_comfyui(graph, "w.json")
    return caught.value.message.split("; ")


def flux(**changes):
    graph = {
        "1": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
        "2": node("DualCLIPLoader", clip_name1="t5xxl.safetensors", clip_name2="clip_l.safetensors", type="flux"),
        "3": node("VAELoader", vae_name="ae.safetensors"),
        "4": node("CLIPTextEncode", text="a heron", clip=["2", 0]),
        "5": node("FluxGuidance", conditioning=["4", 0], guidance=3.5),
        "6": node("EmptySD3LatentImage", width=1024, height=768, batch_size=1),
        "7": node("ModelSamplingFlux", model=["1", 0], max_shift=1.15, base_shift=0.5, width=1024, height=768),
        "8": node("RandomNoise", noise_seed=11),
        "9": node("KSamplerSelect", sampler_name="euler"),
        "10": node("BasicScheduler", model=["7", 0], scheduler="simple", steps=20, denoise=1.0),
        "11": node("BasicGuider", model=["7", 0], conditioning=["5", 0]),
        "12": node(
            "SamplerCustomAdvanced",
            noise=["8", 0],
            guider=["11", 0],
            sampler=["9", 0],
            sigmas=["10", 0],
            latent_image=["6", 0],
        ),
        "13": node("VAEDecode", samples=["12", 0], vae=["3", 0]),
        "14": node("SaveImage", images=["13", 0], filename_prefix="ComfyUI"),
    }
    for where, value in changes.items():
        key, _, name = where.removeprefix("n").partition("_")
        graph[key]["inputs"][name] = value
    return graph


def test_the_parts_of_the_custom_sampler_are_fields():
    found = one(flux())

    assert found.recipe == {
        "prompt": "a heron",
        "negative_prompt": "",
        "emphasis": "comfy",
        "clip_skip": 1,
        "vae": "ae.safetensors",
        "seed": 11,
        "steps": 20,
        "sampler": "euler",
        "schedule": "simple",
        "guidance_scale": 1.0,
        "distilled_guidance": 3.5,
        "noise": "cpu",
        "noise_scale": "full",
        "rounding": "truncate",
        "width": 1024,
        "height": 768,
    }
    assert found.checkpoint == Needed(kind="checkpoint", name="flux1-dev.safetensors")
    assert not found.refused


def test_noise_levels_of_another_size_are_refused():
    assert "its noise levels are of the size" in reasons(flux(n7_width=512))[0]


def test_constant_noise_levels_are_warned_of():
    found = one(flux(n11_model=["1", 0], n10_model=["1", 0]))

    assert any("without ModelSamplingFlux" in warning for warning in found.warnings)


def test_a_guider_with_guidance_has_both_prompts(comfy_graph, text_to_image):
    graph = comfy_graph(
        n20=node("RandomNoise", noise_seed=0),
        n21=node("KSamplerSelect", sampler_name="dpmpp_2m"),
        n22=node("BasicScheduler", model=["4", 0], scheduler="karras", steps=20, denoise=1.0),
        n23=node("CFGGuider", model=["4", 0], positive=["6", 0], negative=["7", 0], cfg=8),
    )
    graph["3"] = node(
        "SamplerCustomAdvanced",
        noise=["20", 0],
        guider=["23", 0],
        sampler=["21", 0],
        sigmas=["22", 0],
        latent_image=["5", 0],
    )

    assert one(graph).recipe == text_to_image


def test_levels_that_ksampler_would_drop_are_refused(comfy_graph):
    assert "takes one level more" in reasons(flux(n9_sampler_name="dpm_2"))[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n3_sampler_name": "euler_cfg_pp"}, "node 3 (KSampler): sampler 'euler_cfg_pp' is not known here"),
        ({"n3_scheduler": "kl_optimal"}, "node 3 (KSampler): scheduler 'kl_optimal' is not known here"),
        ({"n3_denoise": 0.5}, "node 3 (KSampler): denoise 0.5 of noise alone"),
        ({"n3_seed": -1}, "node 3 (KSampler): seed -1 is not from 0 to 2^64-1"),
        ({"n3_seed": "7"}, "node 3 (KSampler): seed: it is no number"),
        ({"n3_model": ["99", 0]}, "node 3 (KSampler): nothing comes in at 'model'"),
        ({"n3_model": ["6", 0]}, "node 3 (KSampler): what comes in at 'model' cannot stand there"),
        ({"n3_model": ["4", 7]}, "node 3 (KSampler): what comes in at 'model' cannot stand there"),
        ({"n3_latent_image": ["3", 0]}, "node 3 (KSampler): needs itself"),
    ],
)
def test_wrong_inputs_are_named_with_their_node(comfy_graph, changes, reason):
    graph = comfy_graph(**changes)

    assert reason in (reasons(graph) if _reads(graph) else _why(graph))


def test_noise_of_the_gpu_is_warned_of(comfy_graph):
    found = one(comfy_graph(n3_sampler_name="dpmpp_2m_sde_gpu"))

    assert found.recipe["sampler"] == "dpmpp_2m_sde"
    assert any("draws its noise on the GPU" in warning for warning in found.warnings)


def test_a_graph_that_saves_nothing_is_unreadable(comfy_graph):
    graph = comfy_graph()
    del graph["9"]

    with pytest.raises(Unreadable, match="no SaveImage or PreviewImage"):
        read_comfyui(graph, "w.json")


def test_a_chain_without_end_is_unreadable(comfy_graph):
    graph = comfy_graph(n3_model=["L4999", 0])
    for number in range(5000):
        before = f"L{number - 1}" if number else "4"
        graph[f"L{number}"] = node("LoraLoaderModelOnly", model=[before, 0], lora_name="a", strength_model=1.0)

    with pytest.raises(Unreadable, match="chained too deep"):
        read_comfyui(graph, "w.json")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.tuples(st.sampled_from("34567899"), st.integers(-1, 3)).map(list),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_graph_breaks_the_reader(comfy_graph, data):
    graph = comfy_graph()
    for _ in range(data.draw(st.integers(1, 4))):
        key = data.draw(st.sampled_from(sorted(graph)))
        name = data.draw(st.sampled_from(sorted(graph[key]["inputs"]) or ["x"]))
        graph[key]["inputs"][name] = data.draw(json_values)
        graph[key]["class_type"] = data.draw(
            st.sampled_from([graph[key]["class_type"], *KINDS, "SaveImage", "Foreign"])
        )

    try:
        for each in read_comfyui(graph, "w.json"):
            assert each.recipe["prompt"] is not None
    except Unreadable:
        pass
