"""A gallery of many cells without a run: what the page and its writer cost is measured, not what pictures cost."""

import hashlib
import itertools
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from batchgen.compare.facts import Extras
from batchgen.compare.gallery import Wanted, write_gallery, write_live
from batchgen.compare.layout import Compare
from batchgen.compare.results import Result, Results

SIDE = 64
"""Pixels of the placeholder."""


def many(run: Path, prompts: int = 100, seeds: int = 100) -> Path:
    """Write the gallery of `prompts` times `seeds` cells into a new directory of a run, and return its page.

    Every cell has a thumbnail in a file of its own; all of them, and the one picture there is, are placeholders.
    """
    picture = run / "pictures/one.png"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (SIDE, SIDE), "teal").save(picture)
    places = tuple(_result(*place, picture) for place in itertools.product(range(prompts), range(seeds)))
    _placeholders(places, run / "gallery/thumbs")
    axes = {"prompt": [_prompt(number) for number in range(prompts)], "seed": list(range(seeds))}
    results = Results(name=run.name, axes=axes, places=places, environments={"e": {"device": "cpu"}})
    page = write_gallery(results, run / "gallery", Wanted(sides=Compare(x="seed", y="prompt")), Extras())
    write_live(run / "gallery", None)
    return page


def _prompt(number: int) -> str:
    return f"prompt {number}: a red circle on a blue background"


def _result(prompt: int, seed: int, picture: Path) -> Result:
    sha = hashlib.sha256(f"{prompt} {seed}".encode()).hexdigest()
    steps = 4 + seed % 7
    recipe = {"model": "demo_shapes", "prompt": _prompt(prompt), "seed": seed, "sampler": "euler", "steps": steps}
    return Result(
        coordinates={"prompt": _prompt(prompt), "seed": seed},
        id=sha,
        state="made",
        prompt=_prompt(prompt),
        picture=picture,
        recipe=MappingProxyType(recipe),
        pixel_sha256=sha,
        seconds=(prompt * 31 + seed) % 97 / 10,
        evaluations=steps,
        width=SIDE,
        height=SIDE,
        environment="e",
    )


def _placeholders(places: tuple[Result, ...], folder: Path) -> None:
    folder.mkdir(parents=True)
    Image.new("RGB", (SIDE, SIDE), "teal").save(folder / "one.webp")
    for each in places:
        (folder / f"{each.pixel_sha256[:16]}.webp").write_bytes((folder / "one.webp").read_bytes())
