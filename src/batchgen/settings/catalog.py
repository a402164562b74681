"""The options that jobs may name: models and samplers, each read once and only if it is named."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from batchgen.errors import ConfError, ModelError
from batchgen.job import Model
from batchgen.models.digest import DigestCache, OnHash, model_digest
from batchgen.models.families import FAMILIES
from batchgen.models.find import Source, find
from batchgen.models.option import ModelConf, read_option
from batchgen.models.resolve import family_of, files_of, resolve
from batchgen.parts import FIELDS, check_field
from batchgen.settings.beside import Beside, stand_in
from batchgen.settings.conf import Conf, Origin, Tree, blaming, resolved
from batchgen.settings.weights import Weights
from batchgen.strict import Types, read_with

_SAMPLER: Types = {name: kind for name, kind in FIELDS.items() if name not in {"prompt", "seed"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Options that a run saved with its settings."""

    options: Mapping[str, Mapping[str, Tree]]
    """Group -> name -> values as written."""

    origin: Origin


class Catalog:
    """Options of conf/model/ and conf/sampler/; those that a resumed run stored stand before those of conf/."""

    def __init__(
        self,
        *,
        conf: Conf,
        tree: Tree,
        stored: Stored,
        folders: tuple[Path, ...],
        cache: Path,
        fake: bool = False,
    ) -> None:
        """Read from `stored`, else from `conf`, and look for models in `folders`.

        `tree` is what `${...}` in an option may refer to; `fake`: the engine is.
        """
        self._fake = fake
        self._conf, self._tree, self._stored, self._folders = conf, tree, stored, folders
        self._digests = DigestCache(cache / "digests.json")
        self.beside = Beside(folders, self._digests, cache, fake=fake)
        self._written: dict[str, dict[str, Tree]] = {"model": {}, "sampler": {}}
        self._names: dict[str, tuple[str, ...]] = {}
        self._models: dict[str, ModelConf] = {}
        self._samplers: dict[str, Mapping[str, Any]] = {}
        self._resolved: dict[str, Model] = {}
        self._files: dict[str, dict[str, Path]] = {}

    def names(self, group: str) -> tuple[str, ...]:
        """Return the options of `group`, sorted."""
        if group not in self._names:
            self._names[group] = tuple(sorted({*self._conf.names(group), *self._stored.options[group]}))
        return self._names[group]

    def model(self, name: str) -> ModelConf:
        """Return what the model option `name` says; errors as `Settings.model`."""
        if name not in self._models and name not in self.names("model") and self.is_file(name):
            self._models[name] = self._of_file(name)
        if name not in self._models:
            origin = self._origin("model", name)
            values = self._read("model", name, origin)
            with blaming(origin):
                self._models[name] = read_option(name, values, origin())
        return self._models[name]

    def is_file(self, name: str) -> bool:
        """Say whether a name stands for a checkpoint in a models folder, or is a path of one."""
        try:
            self.beside.checkpoint(name)
        except ModelError:
            return False
        return True

    def _of_file(self, name: str) -> ModelConf:
        """Return what an option for a file would say: its family's usual values."""
        path = self.beside.checkpoint(name)
        family = family_of(path)
        usual = self.model(FAMILIES[family].usual).recommended
        source = Source(folder=str(path)) if path.is_dir() else Source(file=(str(path),))
        return ModelConf(name=path.stem, family=family, source=source, recommended=usual, where=str(path))

    def sampler(self, name: str) -> Mapping[str, Any]:
        """Return the fields that the sampler option `name` sets; errors as `Settings.sampler`."""
        if name not in self._samplers:
            origin = self._origin("sampler", name)
            values = self._read("sampler", name, origin)
            with blaming(origin):
                self._samplers[name] = MappingProxyType(read_with(check_field, _SAMPLER, values, "field"))
        return self._samplers[name]

    def resolve(self, name: str, on_hash: OnHash | None) -> Model:
        """Find, check and hash the files of a model; errors as `Settings.resolve`."""
        if name not in self._resolved:
            model = resolve(self.model(name), self._folders, self._digests, on_hash)
            self._resolved[name] = stand_in(model) if self._fake else model
        return self._resolved[name]

    def weights(self, *, hashing: bool) -> Weights:
        """Return what is here by exact name and by hash."""
        return Weights(self.names("model"), self.beside.shelf, self._digests, self._digest, hashing=hashing)

    def _digest(self, name: str, known: bool) -> str | None:  # a `DigestOf`
        try:
            conf = self.model(name)
            files = files_of(conf, find(conf.source, self._folders, name=name).absolute(), self._folders)
            if known and any(self._digests.known(file) is None for file in files.values()):
                return None
            digest = model_digest(files, self._digests)
        except (ModelError, ConfError):
            return None
        return stand_in(Model(digest=digest, family="", name="", path="")).digest if self._fake else digest

    def changed(self, model: Model) -> str | None:
        """Say why the files of a model, which was resolved, are no longer those that were hashed."""
        name = next(name for name, each in self._resolved.items() if each == model)
        conf = self.model(name)
        try:
            files = self._files.setdefault(name, files_of(conf, Path(model.path)))
            found = replace(model, digest=model_digest(files, self._digests))
        except ModelError as error:
            return str(error)
        why = "its files were changed since this run was planned; the same command renders with them as they are now"
        return None if (stand_in(found) if self._fake else found) == model else f"{model.path}: {why}"

    def used(self) -> dict[str, dict[str, Tree]]:
        """Return the options that were named so far, as they are written: `models` and `samplers`, each by name."""
        return {f"{group}s": dict(sorted(options.items())) for group, options in self._written.items()}

    def _origin(self, group: str, name: str) -> Origin:
        if name in self._stored.options[group]:
            return partial(self._stored.origin, f"{group}s", name)
        return partial(self._conf.place, f"{group}/{name}")

    def _read(self, group: str, name: str, origin: Origin) -> Tree:
        """Return an option with `${...}` filled in, and keep in mind how it was written."""
        written = self._stored.options[group].get(name) or self._conf.option(group, name)
        with blaming(origin):
            values = resolved({**self._tree, group: written}, group)
        self._written[group][name] = written
        return values
