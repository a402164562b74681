"""What a person may write of adapters, pictures and second passes."""

import pytest

from batchgen.strict import Misread
from batchgen.wishes import WISHES, Adapter, Adapters, From, Hires, Upscale, read_wish


def adapters(*each):
    return Adapters(each=each)


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("loras", "grain", adapters(Adapter(name="grain"))),
        ("loras", "grain:0.8", adapters(Adapter(name="grain", scale=0.8))),
        ("loras", "grain:-0.8:0.6", adapters(Adapter(name="grain", scale=-0.8, clip_scale=0.6))),
        ("loras", ["a:1", {"name": "b", "scale": 2}], adapters(Adapter(name="a"), Adapter(name="b", scale=2.0))),
        (
            "loras",
            [{"name": "a", "scale": 0.5, "clip_scale": 0, "trigger": "film grain"}],
            adapters(Adapter(name="a", scale=0.5, clip_scale=0.0, trigger="film grain")),
        ),
        ("loras", [], adapters()),
        ("loras", "none", adapters()),
        ("upscale", "4x-Sharp", Upscale(model="4x-Sharp")),
        ("upscale", {"model": "s", "scale": 2}, Upscale(model="s", scale=2.0)),
        ("upscale", "none", None),
        ("hires", 1.5, Hires(scale=1.5)),
        (
            "hires",
            {"scale": 2, "upscaler": "s", "strength": 0.4, "steps": 12},
            Hires(scale=2.0, upscaler="s", strength=0.4, steps=12),
        ),
        ("hires", "none", None),
        ("init_image", "a b.png", "a b.png"),
        ("init_image", {"from": "draft"}, From(option="draft")),
        ("mask_image", None, None),
        ("vae", "none", None),
        ("lora_scale", 0.5, 0.5),
    ],
)
def test_what_is_written_is_what_is_meant(name, written, meant):
    found = read_wish(name, written)
    assert found == meant
    hash(found)


@pytest.mark.parametrize(
    ("name", "written", "said"),
    [
        ("loras", 5, "loras: each is a name"),
        ("loras", [{"scale": 1}], "loras: each is a name"),
        ("loras", [{"name": "a", "weight": 1}], "weight"),
        ("loras", [{"name": "a", "scale": "much"}], "scale"),
        ("loras", "a:1.2.3", "no|number"),
        ("loras", [{"name": "a", "scale": float("nan")}], "scale"),
        ("upscale", 4, "upscale: is the name of an upscaler"),
        ("upscale", {"model": "s", "scale": 0}, "scale"),
        ("upscale", {"model": "s", "factor": 2}, "factor"),
        ("hires", True, "hires: is"),
        ("hires", 0.5, "scale"),
        ("hires", {"strength": 0}, "strength"),
        ("hires", {"steps": 1.5}, "steps"),
        ("init_image", 5, "a picture is a path"),
        ("init_image", {"from": ""}, "from"),
        ("init_image", {"from": "a", "to": "b"}, "a picture is a path"),
        ("mask_image", {"from": "draft"}, "a mask is a path"),
        ("vae", 5, "vae"),
        ("lora_scale", "1", "lora_scale"),
    ],
)
def test_what_is_written_wrong_is_said_in_a_line(name, written, said):
    with pytest.raises(ValueError, match=said) as error:
        read_wish(name, written)
    assert isinstance(error.value, Misread)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["grain", "grain:0.8", "grain:0.8:0.6", "none", "grain:-1"])
def test_the_label_of_adapters_is_their_short_form(text):
    assert str(read_wish("loras", text)) == text
    assert read_wish("loras", str(read_wish("loras", text))) == read_wish("loras", text)


def test_every_wish_can_be_none_but_a_scale():
    for name in WISHES:
        if name != "lora_scale":
            assert read_wish(name, "none") in (None, Adapters())
