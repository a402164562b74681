"""What jobs use beside a model: adapters, autoencoders, embeddings, upscalers, pictures; each found and hashed once."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError

from batchgen.errors import ManifestError, ModelError
from batchgen.job import UPSCALER, File, Model
from batchgen.models.adapter import misfit
from batchgen.models.digest import DigestCache
from batchgen.models.enlarging import enlargement
from batchgen.models.shelf import Shelf, in_natural_order
from batchgen.shipped import at_home, matching, shipped_model
from batchgen.wishes import PICTURE_FORMATS, PICTURE_SUFFIXES, PICTURES

_SIDEWAYS = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""


def stand_in(model: Model) -> Model:
    """Return the model as the fake engine has it: another one, for what it makes must never count as the picture."""
    return replace(model, digest=hashlib.sha256(f"fake {model.digest}".encode()).hexdigest())


class Beside:
    """Files beside models, in the models folders and wherever pictures are."""

    def __init__(
        self, folders: Sequence[Path], digests: DigestCache, cache_folder: Path, *, fake: bool = False
    ) -> None:
        """Look into `folders` and among what came with batchgen; remember hashes in `digests`.

        `fake`: the engine is, so that models stand for others.
        """
        self._fake = fake
        self._folders = tuple(folders)
        self.shelf = Shelf([*folders, shipped_model("")])
        """What lies in the models folders, and what came with batchgen."""
        self._digests = digests
        self._cache = cache_folder
        self.file = cache(self._file)
        self.picture = cache(self._picture)
        self.picture_size = cache(self._picture_size)
        self.misfit = cache(self._misfit)

    def _file(self, kind: str, name: str) -> File:
        """Find and hash a `lora`, a `vae` or an `embedding`; ModelError: it is not here."""
        path = self.shelf.find(kind, name)
        return File(digest=self._hashed(path), name=path.stem, path=str(path))

    def checkpoint(self, name: str) -> Path:
        """Find a checkpoint or diffusers folder; ModelError: it is not here."""
        return self.shelf.find("checkpoint", name)

    def embedding_names(self) -> Sequence[str]:
        """Return the names of the embeddings in the models folders."""
        return [entry.path.stem for entry in self.shelf.all("embedding")]

    def _misfit(self, file: File, model: Model) -> str | None:
        """Say why an adapter does not fit a model; None: it does."""
        return misfit(Path(file.path), model)

    def upscaler(self, name: str) -> Model:
        """Find and hash an upscaling model; ModelError: it is not here."""
        path = self.shelf.find("upscaler", name)
        model = Model(digest=self._hashed(path), family=UPSCALER, name=path.stem, path=str(path))
        return stand_in(model) if self._fake else model

    def upscaling(self, model: Model) -> float:
        """Return by how much an upscaling model enlarges by itself; ModelError: it cannot be read."""
        return enlargement(model, self._cache)

    def changed(self, model: Model) -> str | None:
        """Say why an upscaler's file is no longer the one that was hashed."""
        try:
            found = replace(model, digest=self._hashed(Path(model.path)))
        except ModelError as error:
            return str(error)
        same = (stand_in(found) if self._fake else found) == model
        return None if same else f"{model.path}: was changed since this run was planned"

    def _picture(self, path: Path) -> File:
        """Hash a picture; ManifestError: it is not here."""
        try:
            return File(digest=self._hashed(path), name=path.name, path=str(path))
        except ModelError as error:
            raise ManifestError(f"init_image: {error.message}", where=str(path)) from error

    def _picture_size(self, path: Path) -> tuple[int, int]:
        """Return width and height as the picture is looked at; ManifestError: it is not here, or no picture."""
        try:
            with Image.open(path, formats=PICTURE_FORMATS) as picture:
                width, height = picture.size
                turned = picture.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
        except FileNotFoundError as error:
            raise ManifestError("init_image: there is no such picture", where=str(path)) from error
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
            raise ManifestError(f"init_image: is no picture that can be read: {error}", where=str(path)) from error
        return (height, width) if turned else (width, height)

    def file_of(self, digest: str, name: str, pictures: Iterable[Path]) -> File | None:
        """Return the file of a SHA-256: an adapter, an autoencoder, an embedding, or one of `pictures`.

        Those that are called `name` are hashed before others.
        """
        kinds = ("lora", "vae", "embedding")
        shelved = [entry.path for kind in kinds for entry in self.shelf.all(kind) if not entry.refused]
        for path in sorted((*pictures, *shelved), key=lambda path: name not in (path.name, path.stem)):
            if path.is_file() and self._hashed(path) == digest:
                return File(digest=digest, name=name, path=str(path.absolute()))
        return None

    def upscaler_of(self, digest: str, name: str) -> Model | None:
        """Return the upscaling model of a digest; one that is called `name` is hashed before others."""
        entries = sorted(self.shelf.all("upscaler"), key=lambda entry: entry.path.stem != name)
        found = (self.upscaler(str(entry.path.absolute())) for entry in entries)
        return next((model for model in found if model.digest == digest), None)

    def files(self, name: str, pattern: str, folder: Path) -> Sequence[Path]:
        """Return the files that a pattern of the field `name` stands for, in natural order.

        A folder stands for the pictures in it. A relative pattern begins at `folder` or, for models, at the
        first models folder where it finds something.
        """
        places = [folder] if name in PICTURES else [folder, *self._folders]
        wanted = at_home(pattern)
        whole = f"{wanted}/*" if name in PICTURES and (folder / wanted).is_dir() else str(wanted)
        matches = (matching(place.absolute() / whole) for place in places)
        found = next((each for each in matches if each), ())
        suffixes = PICTURE_SUFFIXES if name in PICTURES else {".safetensors"}
        return in_natural_order(each for each in found if each.suffix.lower() in suffixes and each.is_file())

    def _hashed(self, path: Path) -> str:
        try:
            return self._digests.sha256(path)
        finally:
            self._digests.save()
