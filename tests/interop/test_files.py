import json

import pytest

from batchgen.interop.files import read_file
from batchgen.interop.imported import Unreadable
from batchgen.job import recipe_id

PARAMS = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768"
RECIPE = {"model": "1" * 64, "prompt": "ours", "seed": 7, "steps": 2, "width": 64, "height": 64}
RECORD = json.dumps({"schema": 1, "batchgen_version": "0.1.0", "id": recipe_id(RECIPE), "recipe": RECIPE})
INVOKE = json.dumps(
    {"positive_prompt": "invoke", "scheduler": "euler", "seed": 1, "width": 64, "height": 64, "steps": 2, "model": None}
)


def prompt_of(path):
    return read_file(path)[0].recipe["prompt"]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_a_parameters_text_is_read_out_of_every_kind_of_picture(png, with_comment, name):
    path = png(name, parameters=PARAMS) if name.endswith("png") else with_comment(name, PARAMS)

    (found,) = read_file(path)

    assert (found.recipe["seed"], found.name) == (5, "a")


def test_our_own_record_wins_over_all_else(png, comfy_graph):
    assert prompt_of(png(parameters=PARAMS, prompt=json.dumps(comfy_graph()), batchgen=RECORD)) == "ours"


def test_a_graph_wins_over_a_text(png, comfy_graph):
    assert prompt_of(png(parameters=PARAMS, prompt=json.dumps(comfy_graph()))) == "a (heron:1.2)"


@pytest.mark.parametrize("words", ["just words", "{red|blue} words", '{"a": 1}', "[" * 100_000])
def test_a_prompt_that_is_no_graph_is_passed_over(png, words):
    assert prompt_of(png(parameters=PARAMS, prompt=words)) == "a cat"


def test_a_file_that_is_nested_without_end_is_refused(tmp_path):
    nested = '{"positive_prompt": "a", "scheduler": "euler", "seed": 1, "width": 8, "height": 8, "steps": 1, "x": %s}'
    (tmp_path / "a.json").write_text(nested % ("[" * 900 + "1" + "]" * 900))

    with pytest.raises(Unreadable):
        read_file(tmp_path / "a.json")


def test_invokeai_is_read(png):
    assert prompt_of(png(invokeai_metadata=INVOKE)) == "invoke"


def test_our_own_pictures_bring_no_name_of_their_file(png):
    assert read_file(png(batchgen=RECORD))[0].name is None


def test_what_the_upscaling_tab_did_is_upscale(png):
    path = png(parameters=PARAMS, postprocessing="Postprocess upscale by: 2, Postprocess upscaler: 4x-UltraSharp")

    assert read_file(path)[0].recipe["upscale"] == {"model": "4x-UltraSharp", "scale": 2.0}


def test_json_and_text_files_are_read(tmp_path, comfy_graph):
    (tmp_path / "w.json").write_text(json.dumps(comfy_graph()))
    (tmp_path / "r.json").write_text(RECORD)
    (tmp_path / "p.txt").write_text(PARAMS)

    assert [prompt_of(tmp_path / name) for name in ("w.json", "r.json", "p.txt")] == ["a (heron:1.2)", "ours", "a cat"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b"{", "is not JSON"),
        ("a.json", b"[" * 100_000, "is not JSON"),
        ("a.json", b"[1]", "is neither a ComfyUI workflow"),
        ("a.json", b"\xff\xfe", "is no text in UTF-8"),
        ("a.txt", b"a cat", "has no line of parameters"),
        ("a.png", b"", "is no PNG, JPEG or WebP"),
    ],
)
def test_what_tells_of_no_picture_is_refused_with_its_reason(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(Unreadable, match=reason):
        read_file(tmp_path / name)


def test_a_picture_without_settings_is_refused(png):
    with pytest.raises(Unreadable, match="has no settings inside"):
        read_file(png())
