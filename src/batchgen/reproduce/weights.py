"""The model that a record names, found by its digest: a name may have come to stand for other weights since."""

from batchgen.errors import ModelError, UsageError
from batchgen.job import Model
from batchgen.plan.fields import Confs
from batchgen.store.record import Record


class Weights:
    """The models of conf/, each found and hashed when it is first needed."""

    def __init__(self, confs: Confs) -> None:
        """Look among the options of `confs`."""
        self._confs = confs
        self._found: dict[tuple[str, str, str], Model | str] = {}

    def of(self, record: Record) -> Model:
        """Return the model that the record was made with.

        The option of the recorded name is looked at first; others of its family are hashed only if that is another.

        Raises:
            ModelError: no model here has the digest.
        """
        said = record.get("model")
        said = said if isinstance(said, dict) else {}
        digest, family, name = record["recipe"].get("model"), said.get("family"), said.get("name")
        if not (isinstance(digest, str) and isinstance(family, str) and isinstance(name, str)):
            raise ModelError("the record does not say digest, family and name of its model")
        key = (digest, family, name)
        if key not in self._found:
            self._found[key] = self._search(*key)
        found = self._found[key]
        if isinstance(found, str):
            raise ModelError(found)
        return found

    def _search(self, digest: str, family: str, name: str) -> Model | str:
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
