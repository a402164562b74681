import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.interop.composing import composed, different
from batchgen.interop.imported import Imported, Needed
from batchgen.interop.shelf import settled
from batchgen.manifest import manifest_of
from batchgen.manifest.reading import parse_yaml

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)
loras = st.lists(st.fixed_dictionaries({"name": texts, "scale": st.floats(-4, 4)}), max_size=3)
recipes = st.fixed_dictionaries(
    {"prompt": texts, "seed": st.integers(0, 2**64 - 1), "noise": st.sampled_from(["cpu", "nv"])},
    optional={
        "negative_prompt": texts,
        "model": texts,
        "steps": st.integers(1, 1000),
        "guidance_scale": st.floats(0, 1000),
        "loras": loras,
        "hires": st.fixed_dictionaries({"scale": st.floats(1, 4), "upscaler": texts}),
        "init_image": texts,
    },
)


def picture(recipe, name=None):
    return Imported(source="p.png", recipe=recipe, name=name)


def read(text):
    """Return the fields of every entry of a manifest, those of `set` among them."""
    manifest = manifest_of(parse_yaml(text, "m.yaml"))
    return [{**manifest.set, "prompt": entry.text, **entry.fields} for entry in manifest.prompts]


@given(st.lists(recipes, min_size=1, max_size=5))
def test_every_recipe_comes_back_as_it_is(found):
    assert read(composed([picture(recipe) for recipe in found])) == found


def test_what_all_share_stands_under_set():
    shared = {"model": "base", "steps": 20}

    text = composed(
        [
            picture({"prompt": "a", "seed": 1, "width": 64, **shared}, "one"),
            picture({"prompt": "b", "seed": 1, "width": 96, **shared}),
        ],
        ["Imported from old/."],
    )

    assert text == (
        "# Imported from old/.\n"
        "set:\n"
        "  model: base\n"
        "  steps: 20\n"
        "prompts:\n"
        "- prompt: a\n"
        "  seed: 1\n"
        "  width: 64\n"
        "  name: one\n"
        "- prompt: b\n"
        "  seed: 1\n"
        "  width: 96\n"
    )


def test_a_comment_cannot_leave_its_line():
    assert read(composed([picture({"prompt": "a", "seed": 1})], ["x\nprompts: [b]\r\u2028y"])) == [
        {"prompt": "a", "seed": 1}
    ]


def test_the_same_recipe_is_there_once():
    found = [picture({"prompt": "a", "seed": seed}, f"p{number}") for number, seed in enumerate([1, 2, 1])]

    assert [each.name for each in different(found)] == ["p0", "p1"]


def test_a_float_and_a_whole_number_are_not_shared():
    text = composed([picture({"prompt": "a", "seed": 1, "x": 1}), picture({"prompt": "a", "seed": 1, "x": 1.0})])

    assert [type(each["x"]) for each in read(text)] == [int, float]


class TestShelf:
    """Names and hashes against what is here."""

    FOUND = Imported(
        source="p.png",
        recipe={
            "prompt": "a <lora:grain:0.8> <lora:ink:1>",
            "seed": 1,
            "vae": "sub/ft.safetensors",
            "loras": [{"name": "x/a.safetensors", "scale": 1.0}],
            "hires": {"scale": 2, "upscaler": "lanczos"},
            "upscale": {"model": "4x-UltraSharp.pth"},
        },
        checkpoint=Needed(kind="checkpoint", name="sd15/base.safetensors", hash="0123456789"),
        files=(
            Needed(kind="lora", name="grain", hash="0123456789ab"),
            Needed(kind="lora", name="ink"),
            Needed(kind="lora", name="x/a.safetensors"),
            Needed(kind="vae", name="sub/ft.safetensors"),
            Needed(kind="upscaler", name="4x-UltraSharp.pth"),
        ),
    )

    def test_a_hash_wins_over_a_name(self, shelf):
        here = shelf(
            hashes={("checkpoint", "0123456789"): "renamed", ("lora", "0123456789ab"): "film_grain"},
            names={("checkpoint", "base"): "base", ("lora", "grain"): "grain"},
        )

        found = settled(self.FOUND, here)

        assert found.recipe["model"] == "renamed"
        assert found.recipe["prompt"] == "a <lora:film_grain:0.8> <lora:ink:1>"
        assert any("is called 'renamed' here" in warning for warning in found.warnings)

    def test_a_path_or_an_exact_stem_is_found_and_nothing_else(self, shelf):
        here = shelf(
            names={("vae", "ft"): "ft", ("lora", "x/a.safetensors"): "x/a", ("upscaler", "4x-ultrasharp"): "no"}
        )

        found = settled(self.FOUND, here)

        assert found.recipe["vae"] == "ft"
        assert found.recipe["loras"] == [{"name": "x/a", "scale": 1.0}]
        assert found.recipe["upscale"] == {"model": "4x-UltraSharp.pth"}
        assert found.recipe["hires"] == {"scale": 2, "upscaler": "lanczos"}

    def test_what_has_the_name_but_not_the_hash_is_taken_with_a_warning(self, shelf):
        found = settled(self.FOUND, shelf(names={("checkpoint", "base"): "base"}))

        assert found.recipe["model"] == "base"
        assert "is taken by its name: the one here has another hash" in found.warnings[0]

    def test_which_of_several_is_meant_is_not_guessed(self, shelf):
        found = settled(self.FOUND, shelf(several={("lora", "ink"): ("/a/ink.safetensors", "/b/ink.safetensors")}))

        assert any("is both '/a/ink.safetensors' and '/b/ink.safetensors'" in each for each in found.warnings)

    def test_what_is_not_here_stands_as_it_was_written_with_a_warning(self, shelf):
        found = settled(self.FOUND, shelf())

        assert found.recipe == {"model": "sd15/base.safetensors"} | self.FOUND.recipe
        assert len(found.warnings) == 6
        assert "checkpoint 'sd15/base.safetensors' (hash 0123456789) is not in the models folders" in found.warnings[0]


@pytest.mark.parametrize(
    "recipes_", [[{"prompt": "a", "seed": 1}], [{"prompt": "", "seed": 0}, {"prompt": "b", "seed": 0}]]
)
def test_prompts_and_seeds_stand_with_their_entry(recipes_):
    document = parse_yaml(composed([picture(each) for each in recipes_]), "m.yaml").value

    assert "set" not in document
    assert document["prompts"] == recipes_
