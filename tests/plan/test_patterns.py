"""Files as values of an axis."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import ManifestError
from batchgen.plan.patterns import is_pattern, labels


def values(place, text):
    sweep = place.sweep(text)
    axis = next(axis for axis in sweep.axes if axis.name not in ("prompt", "seed"))
    return axis.values, [cell.job for cell in sweep.cells]


def test_numbers_of_files_are_numbers_of_the_axis_in_the_order_of_the_files(place, confs):
    names = ["run/checkpoint-900/w.safetensors", "run/checkpoint-1000/w.safetensors"]
    confs.beside.globbed["run/*/w.safetensors"] = names
    confs.beside.known["lora"] += [str(place.folder / name) for name in names]

    shown, jobs = values(place, "prompts: [x]\nsweep: {loras: [{files: run/*/w.safetensors}]}")

    assert shown == (900, 1000)
    assert all(type(each) is int for each in shown)
    assert [job.loras[0].file.name for job in jobs] == [str(place.folder / name) for name in names]


def test_pictures_are_a_glob_or_a_folder_and_stand_beside_single_ones(place, confs):
    confs.beside.sizes |= dict.fromkeys(["fox.png", "heron.jpg", "owl.png"], (64, 64))
    confs.beside.globbed |= {"old/*": ["old/fox.png", "old/heron.jpg"], "old/": ["old/fox.png", "old/heron.jpg"]}
    for written in ("old/*", "old/"):
        shown, jobs = values(place, f"prompts: [x]\nsweep: {{init_image: ['{written}', owl.png, none]}}")
        assert shown == ("fox", "heron", "owl.png", "none")
        assert [job.init_image and job.init_image.name for job in jobs] == ["fox.png", "heron.jpg", "owl.png", None]


def test_no_file_of_an_axis_is_lost_because_another_is_called_so(place, confs):
    confs.beside.sizes |= dict.fromkeys(["fox.png", "fox.jpg"], (64, 64))
    confs.beside.globbed |= {"a/*": ["a/fox.png", "a/fox.jpg"], "b/*": ["b/fox.png"], "*/*": ["a/fox.png", "b/fox.png"]}
    shown, jobs = values(place, "prompts: [x]\nsweep: {init_image: ['a/*', 'b/*', '*/*']}")
    assert [job.init_image.path.removeprefix(f"{place.folder}/") for job in jobs] == [
        "a/fox.png",
        "a/fox.jpg",
        "b/fox.png",
    ]
    assert len(set(shown)) == 3


def test_files_of_one_axis_are_paired_with_another(place, confs):
    confs.beside.sizes |= dict.fromkeys(["a.png", "b.png", "x.png", "y.png"], (64, 64))
    confs.beside.globbed |= {"in/*": ["in/a.png", "in/b.png"], "masks/*": ["masks/x.png", "masks/y.png"]}
    sweep = place.sweep(
        "prompts: [x]\nsweep: {init_image: ['in/*'], mask_image: ['masks/*']}\nzip: [[init_image, mask_image]]"
    )
    pairs = [(cell.job.init_image.name, cell.job.mask_image.name) for cell in sweep.cells]
    assert pairs == [("a.png", "x.png"), ("b.png", "y.png")]


def test_checkpoints_are_models_without_a_conf(place, confs):
    names = ["checkpoints/one.safetensors", "checkpoints/two.safetensors"]
    confs.beside.globbed["checkpoints/*"] = names
    confs.checkpoints += [str(place.folder / name) for name in names]
    shown, jobs = values(place, "prompts: [x]\nsweep: {model: [{files: checkpoints/*}, small]}")
    assert shown == ("one", "two", "small")
    assert [job.model.name for job in jobs] == [*confs.checkpoints, "small"]


def test_a_pattern_that_no_file_is_like_is_an_error_with_its_place(place):
    with pytest.raises(ManifestError, match=r"m\.yaml:2: loras: no file is like 'x/\*'"):
        place.sweep("prompts: [x]\nsweep: {loras: [{files: 'x/*'}]}")


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["a/checkpoint-900/w.safetensors", "a/checkpoint-1000/w.safetensors"], ["900", "1000"]),
        (["g-000001.safetensors", "g-000002.safetensors", "g.safetensors"], ["000001", "000002", "g"]),
        (["x/fox.png", "x/red fox.jpg"], None),
        (["x/fox.png"], ["fox"]),
        (["a/1.png", "b/1.png"], ["a", "b"]),
        (["x/fox.png", "x/fox.jpg"], None),
        (["x/a-1-b.png", "x/a-2-c.png"], ["1-b", "2-c"]),
    ],
)
def test_labels_say_what_differs(paths, wanted):
    found = labels(paths)
    assert wanted is None or found == wanted
    assert len(set(found)) == len(paths)
    assert all(found)


@given(st.lists(st.text("ab1-_./ ", min_size=1, max_size=8).map(lambda stem: f"{stem}.png"), min_size=1, unique=True))
def test_every_file_has_a_label_of_its_own(paths):
    found = labels(paths)
    assert len(found) == len(paths)
    assert len(set(found)) == len(set(paths))


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("loras", {"files": "a*"}, True),
        ("loras", "a*", False),
        ("init_image", "a*", True),
        ("init_image", "a/", True),
        ("init_image", "a.png", False),
        ("model", {"files": "a"}, True),
        ("model", "a[1]", False),
        ("prompt", {"files": "a"}, False),
        ("steps", "4..8", False),
        ("loras", {"files": 5}, False),
    ],
)
def test_what_is_a_pattern(name, value, wanted):
    assert is_pattern(name, value) is wanted
