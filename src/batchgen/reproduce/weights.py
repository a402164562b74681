"""What a record names, found by its digest: a name may have come to stand for other weights since."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from batchgen.errors import ModelError, UsageError
from batchgen.job import THINGS, UPSCALER, File, Model
from batchgen.plan.fields import Confs
from batchgen.recipe import Found
from batchgen.store.record import Record

_NO_DIGEST = "the record does not say digest, family and name of its model"


class Weights:
    """The models of conf/ and the files beside them, each found and hashed when it is first needed."""

    def __init__(self, confs: Confs) -> None:
        """Look among the options of `confs`."""
        self._confs = confs
        self._found: dict[tuple[str, str, str], Model | str] = {}
        self._files: dict[str, File] = {}

    def all_of(self, record: Record, changed: Model | None, pictures: Callable[[], Iterable[Path]]) -> Found:
        """Return everything that the recipe of a record names, by digest.

        Args:
            record: What `store.record.read` returned.
            changed: The model to take instead of the recorded one.
            pictures: Gives what it may have begun with, beside what is in the working directory; asked only if need be.

        Raises:
            ModelError: a model or file of such a digest is not here.
        """
        recipe = record["recipe"]
        said = {str(each.get("digest")): each for each in _models_said(record)}
        models = [changed or self.of(record)]
        models += [self._model(said.get(digest, {}), digest) for digest in set(_models_in(recipe))]
        names = {str(each.get("sha256")): str(each.get("name")) for each in _dicts(record.get("files"))}
        files = {digest: self._file(digest, names.get(digest, ""), pictures) for digest in set(_files_in(recipe))}
        return Found(models={model.digest: model for model in models}, files=files)

    def of(self, record: Record) -> Model:
        """Return the model that the record was made with.

        The option of the recorded name is looked at first; others of its family are hashed only if that is another.

        Raises:
            ModelError: no model here has the digest.
        """
        said = record.get("model")
        return self._model(said if isinstance(said, dict) else {}, record["recipe"].get("model"))

    def _model(self, said: Mapping[str, Any], digest: Any) -> Model:
        family, name = said.get("family"), said.get("name")
        if not (isinstance(digest, str) and isinstance(family, str) and isinstance(name, str)):
            raise ModelError(_NO_DIGEST)
        key = (digest, family, name)
        if key not in self._found:
            self._found[key] = self._search(*key)
        found = self._found[key]
        if isinstance(found, str):
            raise ModelError(found)
        return found

    def _search(self, digest: str, family: str, name: str) -> Model | str:
        if family == UPSCALER:
            upscaler = self._confs.beside.upscaler_of(digest, name)
            return upscaler or f"no upscaler here has the SHA-256 {digest}, which was called {name!r}"
        looked = []
        for option in sorted(self._confs.model_names(), key=lambda option: option != name):
            try:
                if self._confs.model(option).family != family:
                    continue
                model = self._confs.resolve(option)
            except UsageError as error:
                looked.append(str(error) if option == name else f"{option} is not here, or not whole")
                continue
            if model.digest == digest:
                return model
            looked.append(f"{option} is {model.digest[:12]}")
        there = "; ".join(looked) or f"conf/model has none of the family {family!r}"
        return f"no model here has the digest {digest}, which was called {name!r}: {there}"

    def _file(self, digest: str, name: str, pictures: Callable[[], Iterable[Path]]) -> File:
        if digest not in self._files:
            found = self._confs.beside.file_of(digest, name, [*pictures(), Path.cwd() / Path(name).name])
            if found is None:
                raise ModelError(f"no file here has the SHA-256 {digest}, which was called {name!r}")
            self._files[digest] = found
        return self._files[digest]


def _dicts(values: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in values if isinstance(each, dict)) if isinstance(values, list) else ()


def _models_said(record: Record) -> Iterator[Mapping[str, Any]]:
    """Yield what a record says of its models, its own first."""
    yield from _dicts([record.get("model"), *(each.get("model") for each in _dicts(record.get("stages")))])


def _models_in(recipe: Any) -> Iterator[str]:
    """Yield the digests of the models that the stages of a recipe name; it may be anybody's."""
    for stage in _stages_in(recipe):
        if isinstance(stage.get("model"), str):
            yield stage["model"]
        yield from _models_in(stage)


def _files_in(recipe: Any) -> Iterator[str]:
    """Yield the digests of the files that a recipe and its stages name."""
    for name in THINGS:
        value = recipe.get(name)
        for each in _dicts(value if isinstance(value, list) else [value]):
            if isinstance(each.get("sha256"), str):
                yield each["sha256"]
    for stage in _stages_in(recipe):
        yield from _files_in(stage)


def _stages_in(recipe: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("init_image", "mask_image"):
        value = recipe.get(name)
        if isinstance(value, dict) and isinstance(value.get("recipe"), dict):
            yield value["recipe"]
