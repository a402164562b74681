from typing import Any

import pytest

from batchgen.models.find import Source
from batchgen.models.option import read_option
from batchgen.strict import Misread

GOOD: dict[str, Any] = {"family": "sd15", "source": {"folder": "x"}, "recommended": {"steps": 20, "guidance_scale": 7}}


def test_an_option_is_read_with_its_values_in_the_types_of_a_recipe() -> None:
    conf = read_option("mine", GOOD, "conf/model/mine.yaml")
    assert (conf.name, conf.family, conf.source, conf.where) == (
        "mine",
        "sd15",
        Source(folder="x"),
        "conf/model/mine.yaml",
    )
    assert dict(conf.recommended) == {"steps": 20, "guidance_scale": 7.0}
    assert isinstance(conf.recommended["guidance_scale"], float)


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ({"builtin": "demo"}, Source(builtin="demo")),
        ({"file": "a.safetensors"}, Source(file=("a.safetensors",))),
        ({"file": ["a", "b"]}, Source(file=("a", "b"))),
        ({"hub": "o/n"}, Source(hub="o/n", revision="main")),
        ({"file": "a.safetensors", "hub": "o/n"}, Source(file=("a.safetensors",), hub="o/n")),
        ({"parts": {"unet": "u", "vae": "v"}}, Source(parts={"unet": "u", "vae": "v"})),
        (
            {"hub": "o/n", "revision": "v1", "include": ["*.json"]},
            Source(hub="o/n", revision="v1", include=("*.json",)),
        ),
    ],
)
def test_each_kind_of_source_is_read(source: dict[str, Any], meant: Source) -> None:
    assert read_option("mine", GOOD | {"source": source}, "x").source == meant


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"famly": "x"}, "famly", "unknown key 'famly'; did you mean 'family'?"),
        ({"family": "sd16"}, "family", "unknown family 'sd16'; did you mean 'sd15'?"),
        ({"family": 15}, "family", "family: must be a valid string, not 15"),
        ({"source": {"foldr": "x"}}, "source.foldr", "did you mean 'folder'?"),
        ({"source": {}}, "source.", "exactly one of builtin, folder, hub, file, parts"),
        ({"source": {"folder": "a", "file": "c"}}, "source.", "exactly one"),
        ({"source": {"parts": {"unet": 1}}}, "source.parts", "parts: "),
        ({"source": {"folder": "a", "revision": "main"}}, "source.", "belong to hub alone"),
        ({"source": {"hub": "../../etc"}}, "source.hub", "hub: "),
        ({"source": {"hub": "a/b", "revision": "../x"}}, "source.revision", "revision: "),
        ({"source": {"file": []}}, "source.file", "file: "),
        ({"recommended": {"step": 4}}, "recommended.step", "did you mean 'steps'?"),
        ({"recommended": {"steps": 0}}, "recommended.steps", "steps: must be greater than or equal to 1, not 0"),
        ({"recommended": {"seed": 1}}, "recommended.seed", "unknown recommended field 'seed'"),
        ({"_target_": "os.system"}, "_target_", "unknown key '_target_'"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(changes: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(Misread) as caught:
        read_option("mine", GOOD | changes, "x")
    assert caught.value.key == key
    assert words in str(caught.value)


@pytest.mark.parametrize("key", ["family", "source"])
def test_what_is_missing_is_named(key: str) -> None:
    with pytest.raises(Misread, match=f"{key} is missing"):
        read_option("mine", {name: value for name, value in GOOD.items() if name != key}, "x")
