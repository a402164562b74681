import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.interop.a1111_text import split

PARAMS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768"


def test_prompt_negative_prompt_and_parameters_are_told_apart():
    info = split(f"a cat,\nsecond line\nNegative prompt: dog,\nbird\n{PARAMS}")

    assert (info.prompt, info.negative_prompt) == ("a cat,\nsecond line", "dog,\nbird")
    assert info.fields["Size"] == "512x768"


def test_lines_of_templates_after_the_parameters_are_fields():
    info = split(f"a red cat\n{PARAMS}\nTemplate: a {{red|blue}} cat\nNegative Template: ")

    assert info.prompt == "a red cat"
    assert info.fields["Template"] == "a {red|blue} cat"
    assert info.fields["Seed"] == "1"


def test_a_prompt_with_colons_is_no_line_of_parameters():
    assert (
        split("style: ink, mood: calm, light: dawn\nand more").prompt == "style: ink, mood: calm, light: dawn\nand more"
    )


def test_a_text_without_parameters_is_all_prompt():
    assert split("a cat\nSteps: yes").prompt == "a cat\nSteps: yes"


def test_windows_line_ends_are_line_ends():
    assert split(f"a cat\r\nNegative prompt: dog\r\n{PARAMS}").negative_prompt == "dog"


@pytest.mark.parametrize(
    ("item", "key", "value"),
    [
        ('Model: "a, b: c"', "Model", "a, b: c"),
        ('Model: "say \\"no\\""', "Model", 'say "no"'),
        ("Tiling", "Tiling", "Tiling"),
        ('Civitai resources: [{"a": 1, "b": [2, 3]}]', "Civitai resources", '[{"a": 1, "b": [2, 3]}]'),
        ('Hashes: {"model": "0123456789", "lora:x": "ab"}', "Hashes", '{"model": "0123456789", "lora:x": "ab"}'),
        ('Model: "unclosed', "Model", '"unclosed'),
        ("Model: [half", "Model", "[half"),
        ("Mask blur: 4", "Mask blur", "4"),
        ("ADetailer confidence (2nd): 0.3", "ADetailer confidence (2nd)", "0.3"),
        ("VAE: ", "VAE", ""),
        ("Model: C:\\models\\x", "Model", "C:\\models\\x"),
    ],
)
def test_each_way_to_write_an_item_is_read(item, key, value):
    fields = split(f"a cat\n{PARAMS}, {item}, Version: v1.9.4").fields

    assert fields[key] == value
    assert fields["Version"] == "v1.9.4"
    assert fields["Seed"] == "1"


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text):
    split(text)
    split(f"a\n{PARAMS}, {text}")
