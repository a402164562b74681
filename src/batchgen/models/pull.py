"""Fetching what an option of conf/model/ needs, while there is a network, so that the night needs none.

The only part of batchgen that talks to the Hugging Face hub, and only when a person asks for it by name. Files go into
the hub's own cache, where every other program finds them too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchgen.errors import ModelError, TryLater
from batchgen.models.option import ModelConf

Download = Callable[[str, str, Sequence[str]], Path]
"""Fetches files of a repository: hub id, revision, patterns of names (none: all); returns the snapshot's folder."""

TOKENIZERS = ("model_index.json", "tokenizer/*", "tokenizer_2/*")
"""What is enough of a repository where only the vocabularies are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Files of one repository."""

    hub: str
    revision: str
    files: tuple[str, ...]


def wanted(conf: ModelConf, tokenizers_from: ModelConf, *, tokenizers_only: bool) -> list[Wanted]:
    """Return what is to be fetched for the model of `conf`.

    Args:
        conf: the model.
        tokenizers_from: the option whose repository has the tokenizers of the model's family.
        tokenizers_only: leave out the weights.

    Raises:
        ModelError: no repository is known for it.
    """
    source = conf.source
    if source.builtin:
        raise ModelError(f"model {conf.name!r} came with batchgen; there is nothing to fetch", where=conf.where)
    found = []
    if source.hub:
        files = TOKENIZERS if tokenizers_only else source.file or source.include
        if not (tokenizers_only and source.file):
            found.append(Wanted(hub=source.hub, revision=source.revision, files=files))
    elif not tokenizers_only and not source.parts and not source.file:
        raise ModelError(f"model {conf.name!r} is a folder of yours; no repository of it is known", where=conf.where)
    if source.file or source.parts:
        # A single file has no vocabularies in it.
        base = tokenizers_from.source
        found.append(Wanted(hub=str(base.hub), revision=base.revision, files=TOKENIZERS))
    return found


def pull(wishes: Sequence[Wanted], download: Download) -> list[Path]:
    """Fetch what is wanted, and return the folders that it lies in.

    Raises:
        TryLater: there is no network, or the hub does not answer.
        ModelError: there is no such repository or revision, or its licence was not accepted.
    """
    return [download(each.hub, each.revision, each.files) for each in wishes]


def from_hub(hub: str, revision: str, files: Sequence[str]) -> Path:
    """Fetch from the Hugging Face hub, into its cache; what is there already is not fetched again."""
    # Imported where a person asked for it: it takes a second, and reads its settings from the environment.
    from huggingface_hub import errors, snapshot_download  # noqa: PLC0415 - see above

    where = f"{hub} (revision {revision})"
    try:
        return Path(snapshot_download(hub, revision=revision, allow_patterns=list(files) or None))
    except errors.GatedRepoError as error:
        raise ModelError("its licence must be accepted on its page first, then: hf auth login", where=where) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ModelError("there is no such repository or revision on the hub", where=where) from error
    except Exception as error:  # the hub's library lets through whatever its network library raises
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:150]
        raise TryLater(f"cannot be fetched now: {reason}", where=where) from error
