"""Every path of a run directory; nothing else joins them.

`outputs/<run>/` holds what belongs to the person: `manifest.yaml` and `settings.yaml` as used, `pictures/` and `clips/`
with the record inside each, the same in `records/<id12>.json`, `sheets/`, `gallery/`, `compare.csv` and `summary.json`.
`.batchgen/` in it holds what belongs to batchgen: `lock`, `plan.json`, `sweep.json`, `metrics.json`, `journal.jsonl`,
`worker.log`, `tmp/`, `latents/`, `interrupted/`, `frames/`, `posters/` and `quarantine/`. Clips that were joined are
the person's, in `joined/`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

from batchgen.engine import Container
from batchgen.errors import UsageError
from batchgen.store.content import is_no_file

RECORD_DIGITS = 12
"""Hex digits of the id that name a record: 48 bits. Among n pictures in one directory two share a name with a chance of
n^2 / 2^49: one in 56,000 for 10^5 pictures, one in 560 for 10^6, 16 % for 10^7. The second of them is refused."""

LATENT = ".safetensors"
"""What the name of a kept latent, or of a bookmark, ends in, after the whole id."""

PICTURE_SUFFIX = ".png"

CLIP_SUFFIXES: Mapping[Container, str] = MappingProxyType(
    {"mp4": ".mp4", "webm": ".webm", "gif": ".gif", "webp": ".webp", "frames": ".zip"}
)
"""What the name of a clip ends in, by how it is kept."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths of one run directory, whether it exists yet or not."""

    root: Path

    @classmethod
    def around(cls, tmp: Path) -> Self:
        """Return the run directory whose `tmp` this is."""
        return cls(tmp.parent.parent)

    @property
    def manifest(self) -> Path:
        """The manifest as used, so that `batchgen run RUN_DIR` resumes whatever changed since."""
        return self.root / "manifest.yaml"

    @property
    def settings(self) -> Path:
        """The settings as used, interpolations unresolved."""
        return self.root / "settings.yaml"

    @property
    def summary(self) -> Path:
        """What came of the last run: made, failed and why, left."""
        return self.root / "summary.json"

    @property
    def pictures(self) -> Path:
        """The folder of the pictures."""
        return self.root / "pictures"

    @property
    def clips(self) -> Path:
        """The folder of the clips; there is none before the first."""
        return self.root / "clips"

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return self.root / "records"

    @property
    def sheets(self) -> Path:
        """The folder of the contact sheets."""
        return self.root / "sheets"

    @property
    def charts(self) -> Path:
        """The folder of the charts, as pictures."""
        return self.sheets / "charts"

    @property
    def gallery(self) -> Path:
        """The folder of the page that shows all pictures side by side."""
        return self.root / "gallery"

    @property
    def comparison(self) -> Path:
        """One row a place of the sweep: every field, times, metrics."""
        return self.root / "compare.csv"

    @property
    def export(self) -> Path:
        """Where pictures are copied, unless a person says where; the folder is theirs."""
        return self.root / "export"

    @property
    def joined(self) -> Path:
        """The folder of clips joined to longer ones; there is none before the first."""
        return self.root / "joined"

    @property
    def hidden(self) -> Path:
        """What belongs to batchgen and not to the person."""
        return self.root / ".batchgen"

    @property
    def lock(self) -> Path:
        """Held by whoever writes here."""
        return self.hidden / "lock"

    @property
    def plan(self) -> Path:
        """What was asked for, and what was chosen once for the run, such as batch sizes."""
        return self.hidden / "plan.json"

    @property
    def sweep(self) -> Path:
        """What was asked for, cell by cell, so that it can be looked at where no model is."""
        return self.hidden / "sweep.json"

    @property
    def metrics(self) -> Path:
        """How far pictures are from one another, so that it need not be worked out again."""
        return self.hidden / "metrics.json"

    @property
    def compared(self) -> Path:
        """What the last comparison was made of, and what it left."""
        return self.hidden / "compared.json"

    @property
    def journal(self) -> Path:
        """What was finished, line by line."""
        return self.hidden / "journal.jsonl"

    @property
    def worker_log(self) -> Path:
        """What the worker's libraries say on their standard streams."""
        return self.hidden / "worker.log"

    @property
    def tmp(self) -> Path:
        """Files on their way into `pictures/`: in the same file system, emptied at every start."""
        return self.hidden / "tmp"

    @property
    def latents(self) -> Path:
        """What the denoiser made and is no picture yet, so that it need not be made again."""
        return self.hidden / "latents"

    @property
    def interrupted(self) -> Path:
        """Where the denoising of batches was that are no latents yet, so that it need not begin anew."""
        return self.hidden / "interrupted"

    @property
    def frames(self) -> Path:
        """The frames of clips, as they were rendered, with which something is to begin."""
        return self.hidden / "frames"

    @property
    def posters(self) -> Path:
        """The first frames of clips, for whoever shows many; each can be made again from its clip."""
        return self.hidden / "posters"

    @property
    def quarantine(self) -> Path:
        """Doubtful files; batchgen never deletes them."""
        return self.hidden / "quarantine"

    def picture(self, stem: str, suffix: str = PICTURE_SUFFIX) -> Path:
        """Where the picture, or the clip, with the file name `stem` goes."""
        return (self.pictures if suffix == PICTURE_SUFFIX else self.clips) / f"{stem}{suffix}"

    def poster(self, job_id: str) -> Path:
        """Where the first frame of the clip of the job with the id `job_id` is kept, as PNG."""
        return self.posters / f"{job_id}{PICTURE_SUFFIX}"

    def frames_of(self, job_id: str) -> Path:
        """Where the frames of the clip of the job with the id `job_id` are kept."""
        return self.frames / f"{job_id}{CLIP_SUFFIXES['frames']}"

    def record(self, job_id: str) -> Path:
        """Where the record of the job with the id `job_id` (64 hex digits) goes."""
        return self.records / f"{job_id[:RECORD_DIGITS]}.json"

    def latent(self, job_id: str) -> Path:
        """Where the latent of the job with the id `job_id` is kept."""
        return self.latents / f"{job_id}{LATENT}"

    def bookmark(self, job_id: str) -> Path:
        """Where the bookmark of the batch is kept whose first job has the id `job_id`."""
        return self.interrupted / f"{job_id}{LATENT}"

    def relative(self, path: Path) -> str:
        """`path` as the journal holds it: relative to the directory, which may be moved, with `/`."""
        return path.relative_to(self.root).as_posix()

    def create(self) -> None:
        """Make every folder that is missing.

        Raises:
            UsageError: there is something in the way, see `obstacles`.
        """
        for path, reason in self.obstacles():
            raise UsageError(reason, where=str(path))
        ours = self.tmp, self.latents, self.interrupted, self.frames, self.posters, self.quarantine
        for folder in (self.pictures, self.records, *ours):
            folder.mkdir(parents=True, exist_ok=True)

    def obstacles(self) -> Iterator[tuple[Path, str]]:
        """Yield what no run begins with, and why: links, and what is no file where one is read or written in place.

        The root may be a link, and so may files that are replaced and not written in place.
        """
        # Whoever packed the directory chose where its links point, and what is in there is emptied, moved and cut.
        kept = self.latents, self.interrupted, self.frames, self.posters, self.quarantine
        folders = (
            self.hidden,
            self.tmp,
            *kept,
            self.pictures,
            self.clips,
            self.records,
            self.sheets,
            self.charts,
            self.gallery,
            self.joined,
        )
        in_place = self.lock, self.journal, self.worker_log
        for path in (*folders, *in_place):
            if path.is_symlink():
                yield path, "is a symbolic link, and batchgen writes and deletes there; put a real one in its place"
        for path in (*in_place, self.plan, self.sweep, self.manifest, self.settings):
            if not (path in in_place and path.is_symlink()) and is_no_file(path):
                yield path, "is no file, and batchgen reads and writes one there; move it away"
