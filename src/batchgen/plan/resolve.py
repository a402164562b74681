"""Precedence: what a cell's fields are, when several places speak of them.

    conf/job.yaml < the sampler's conf < the model's recommendation < set < command line < axis < an entry's own field

A model's recommended schedule belongs to its recommended sampler. Where another sampler is asked for and no schedule,
the schedule of that sampler's own conf applies.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from batchgen.errors import ConfError
from batchgen.models.families import FAMILIES
from batchgen.parts import Canvas, Motion, Noise, Numerics, Sampling, Start, Text
from batchgen.plan.dimensions import Option
from batchgen.plan.fields import Confs, fail
from batchgen.shipped import at_home
from batchgen.wishes import WISHES, Adapters, Wish

Sets = Mapping[str, Any]

_OPTIONS: Final = {"prompt": "prompt", "seed": "seeds"}
"""What is always an axis, and the option of the command line that gives it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """Everything of a job but its prompt and its seed."""

    model: str
    canvas: Canvas
    sampling: Sampling
    numerics: Numerics
    start: Start
    noise: Noise
    motion: Motion
    wishes: Mapping[str, Wish]
    """What is asked for beside fields; nothing that is None, and no picture by a relative path."""
    text: Mapping[str, Any]
    """The fields of `Text` but the prompt."""
    values: Mapping[str, Any]
    """Every field by name, and `model`."""

    @property
    def asked(self) -> frozenset[str]:
        """What is asked for beside the canvas and the sampling, by name, as `Family.check` judges it."""
        beside = {"mask_image": self.start.mask_alpha, "strength": self.start.strength != 1.0}
        return frozenset((*self.wishes, *(name for name, said in beside.items() if said)))


_NOTHING: Final = (None, Adapters(), 1.0)
"""What is as good as nothing said: no picture, no adapter, all of their scale."""

Part = TypeVar("Part", bound=Hashable)


class Resolver:
    """Resolves fields; equal parts come out as the same object, however many cells have them."""

    def __init__(self, confs: Confs, settings: Sets, where: str | None, folder: Path) -> None:
        """Start from conf/ and `settings`, the checked fields of `set`; relative paths begin at `folder`.

        Raises:
            ConfError: conf/job.yaml sets a prompt or seed, which nothing would ever read.
        """
        for name, option in _OPTIONS.items():
            if confs.recipe.get(name) is not None:
                message = f"{name}: is always an axis; write `{name}s:` in the manifest, or say --{option}"
                raise ConfError(message, where="conf/job.yaml")
        self._confs = confs
        self._settings = settings
        self._where = where
        self._folder = folder.absolute()
        self._same: dict[Hashable, Any] = {}

    def parts(self, options: Sequence[Option], own: Sets) -> Parts:
        """Return the parts of a cell.

        Args:
            options: Where the cell is along each dimension.
            own: The checked fields of the prompt's entry.

        Raises:
            UsageError: a field that every picture needs is said nowhere.
        """
        explicit = dict(self._settings)
        for option in options:
            explicit |= option.sets
        explicit |= own
        values = self._pictured(self._filled(explicit), explicit)
        return Parts(
            model=values["model"],
            canvas=self._same_object(self._part(Canvas, values)),
            sampling=self._same_object(self._part(Sampling, values)),
            numerics=self._same_object(self._part(Numerics, values)),
            start=self._same_object(self._part(Start, values)),
            noise=self._same_object(self._part(Noise, values)),
            motion=self._same_object(self._part(Motion, values)),
            wishes={name: values[name] for name in WISHES if values.get(name) not in _NOTHING},
            text={
                each.name: values[each.name] for each in fields(Text) if each.name in values and each.name != "prompt"
            },
            values=values,
        )

    def _filled(self, explicit: Sets) -> dict[str, Any]:
        """Fill what is left open: from the model's recommendation, the sampler's conf, and conf/job.yaml."""
        model = explicit.get("model", self._confs.default_model)
        recommended = _said(self._confs.model(model).recommended)
        usual = recommended.get("sampler", self._confs.recipe.get("sampler"))
        sampler = explicit.get("sampler", usual)
        of_sampler = _said(self._confs.sampler(sampler)) if sampler is not None else {}
        if sampler != usual:
            recommended = {name: value for name, value in recommended.items() if name not in of_sampler}
        return {**_said(self._confs.recipe), **of_sampler, **recommended, **explicit, "model": model}

    def _pictured(self, values: dict[str, Any], explicit: Sets) -> dict[str, Any]:
        """Find the pictures; where nobody says how large to render, it is as large as the one to begin with."""
        image, mask = values.get("init_image"), values.get("mask_image")
        if isinstance(image, str):
            path = values["init_image"] = str(self._folder / at_home(image))
            family = FAMILIES[self._confs.model(values["model"]).family]
            # Models of clips were taught few sizes: theirs counts, and the picture is fitted to it.
            if not family.frames and not explicit.keys() & {"width", "height"}:
                multiple = family.multiple
                sides = zip(("width", "height"), self._confs.beside.picture_size(Path(path)), strict=True)
                values |= {name: max(multiple, side - side % multiple) for name, side in sides}
        if isinstance(mask, str):
            stem = Path(image).stem if isinstance(image, str) else ""
            values["mask_image"] = str(self._folder / at_home(mask.replace("{stem}", stem)))
        return values

    def _part(self, kind: type[Part], values: Sets) -> Part:
        names = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # parts are dataclasses
        try:
            return kind(**{name: values[name] for name in names if name in values})
        except TypeError:
            missing = next(name for name in names if name not in values)
            message = f"{missing}: said nowhere, and model {values['model']!r} recommends none; write it under `set:`"
            fail(message, self._where)

    def _same_object(self, part: Part) -> Part:
        found: Part = self._same.setdefault(part, part)
        return found


def _said(values: Sets) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
