"""Pictures that batchgen made, imported in every way they can be, plan the very jobs that made them."""

import pytest
from PIL import Image

from batchgen.manifest import read_manifest
from batchgen.plan.expand import expand
from batchgen.settings import load_settings, parse_words
from batchgen.store import images

SMALL = "set: {model: demo_shapes, width: 64, height: 64, steps: 2, sampler: euler}\n"
JOBS = {
    "plain": "{prompt: a red circle, seed: 1}",
    "negative": "{prompt: 'a red circle, on blue', negative_prompt: 'blue: dark, \"no\"', seed: 2}",
    "emphasis": "{prompt: 'a (red:1.3) [circle]', emphasis: a1111, clip_skip: 1, seed: 3}",
    "truncated": "{prompt: a blue star, rounding: truncate, precision: fp32, seed: 4}",
    "a1111": "{prompt: a blue star, sampler: euler_ancestral, noise: cpu_continued, noise_scale: sigma, seed: 5}",
    "from-picture": "{prompt: a green heart, init_image: source.png, strength: 0.6, seed: 6}",
    "hires": "{prompt: a red star, hires: {scale: 1.5, upscaler: bicubic, strength: 0.5, steps: 2, seed: 9}, seed: 7}",
    "upscaled": "{prompt: a red square, upscale: {model: demo_x2, scale: 2}, seed: 8}",
}
NO_GRAPH = {"emphasis", "a1111"}
"""What ComfyUI cannot say: another way to read weights, and another noise."""


@pytest.fixture(scope="module")
def made(tmp_path_factory, person_in):
    """Rendered by the embedded model: every picture with its record, those of first passes among them."""
    person = person_in(tmp_path_factory.mktemp("made"))
    Image.new("RGB", (64, 64), "orange").save(person.folder / "source.png")
    entries = "".join(f"- {job.replace('{', '{name: ' + name + ', ', 1)}\n" for name, job in JOBS.items())
    person.writes("m.yaml", f"{SMALL}prompts:\n{entries}")
    said = person.types("run", "m.yaml", "--into", "run")
    assert said.code == 0, said.err
    pictures = [(path, images.record_in(path)) for path in person.pictures("run")]
    assert len(pictures) == len(JOBS) + 2
    return person, pictures


def planned(person, *files):
    """Import files into one manifest, and return the ids of the jobs that it plans."""
    (person.folder / "again.yaml").unlink(missing_ok=True)
    done = person.types("import", *map(str, files), "-o", "again.yaml")
    assert done.code == 0, done.err
    return ids(person, "again.yaml")


def ids(person, manifest):
    settings = load_settings(parse_words([f"paths.cache={person.folder}/.cache"]), cwd=person.folder)
    return [cell.job.id for cell in expand(read_manifest(person.folder / manifest), {}, settings).cells]


def wanted(pictures):
    return sorted(record["id"] for _, record in pictures)


def test_as_records(made):
    person, pictures = made

    assert sorted(planned(person, "run/pictures")) == wanted(pictures)


def test_as_texts_of_a1111(made):
    person, pictures = made
    for path, _ in pictures:
        person.writes(f"texts/{path.stem}.txt", images.open_picture(path).parameters)

    found = planned(person, *sorted((person.folder / "texts").iterdir()))

    assert sorted(found) == wanted(pictures)


def test_as_graphs_of_comfyui(made):
    person, pictures = made
    said = [(path, record) for path, record in pictures if record["name"] not in NO_GRAPH]
    for path, _ in said:
        shown = person.types("show", "--comfyui", str(path))
        assert shown.code == 0, shown.err
        person.writes(f"graphs/{path.stem}.json", shown.out)

    found = planned(person, *sorted((person.folder / "graphs").iterdir()))

    assert sorted(found) == wanted(said)


@pytest.mark.parametrize("name", sorted(NO_GRAPH))
def test_what_no_graph_says_is_refused(made, name):
    person, pictures = made
    (path,) = [path for path, record in pictures if record["name"] == name]

    assert person.types("show", "--comfyui", str(path)).code == 2


def test_as_pictures_in_a_manifest(made):
    person, pictures = made
    person.writes("of_pictures.yaml", "prompts: [{pictures: run/pictures/*.png}]\n")

    assert sorted(ids(person, "of_pictures.yaml")) == wanted(pictures)
