"""The local Hugging Face cache: where it is, and which snapshots of repositories lie in it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path


def hub_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the local Hugging Face cache, by the variables that its own tools read."""
    if chosen := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return Path(chosen).expanduser()
    home = environment.get("HF_HOME") or Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def snapshot(hub_id: str, revision: str, holding: str) -> Path | None:
    """Return the snapshot that `revision` stands for, if it has the file `holding`.

    The cache keeps a file for every branch and tag it knows.
    """
    repository = hub_cache() / f"models--{hub_id.replace('/', '--')}"
    reference = repository / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    found = repository / "snapshots" / commit
    return found if (found / holding).is_file() else None


def snapshots(holding: str) -> Iterator[tuple[str, Path]]:
    """Yield hub id and path of every snapshot with the file `holding`, sorted; of each repository the newest."""
    for repository in sorted(hub_cache().glob("models--*")):
        found = [place.parent for place in repository.glob(f"snapshots/*/{holding}")]
        if found:
            yield (
                repository.name[len("models--") :].replace("--", "/"),
                max(found, key=lambda place: place.stat().st_mtime),
            )
