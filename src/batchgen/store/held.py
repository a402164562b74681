"""A run directory under lock: what is in it, and the only way to add to it."""

import contextlib
import errno
import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchgen.errors import StoreError
from batchgen.plan.plan import Reason
from batchgen.store.history import Done, begun_with, known
from batchgen.store.journal import Journal
from batchgen.store.layout import CLIP_SUFFIXES, RunDirectory
from batchgen.store.lock import Lock, take
from batchgen.store.publish import place, said_plainly, sync_directory, write_atomic
from batchgen.store.record import stands_for
from batchgen.store.recover import Recovered, recover

_BAD_NAME = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})
"""What a file system answers to a name that it cannot have; the names of other files may be as they should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """A picture or clip in `tmp/`: verified and synced, but not published."""

    id: str
    stem: str
    """File name it is to have, without suffix."""
    file: Path
    record: Path
    bytes: int
    file_sha256: str
    pixel_sha256: str
    seconds: float
    """Render time of its batch, divided by the pictures in it."""
    attempt: int
    frames: Path | None = None
    """Of a clip with which something is to begin: its frames as they were rendered, in `tmp/` as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What became of pictures that were to be published."""

    done: tuple[Done, ...]
    refused: Mapping[str, str]
    """Why, by id: the name of the picture or of its record stands for another one."""


class Held:
    """A run directory whose lock this process has. Everything in `done` survives anything."""

    def __init__(self, directory: RunDirectory, lock: Lock, journal: Journal, recovered: Recovered) -> None:
        """Go on from what `recovered` found."""
        self.directory = directory
        self.lock = lock
        self.adopted = recovered.adopted
        self.quarantined = recovered.quarantined
        self.done = dict(recovered.done)
        """Pictures by id, each with its file."""
        self.rejected = recovered.rejected
        """Ids of what a person does not want: it is not made again, and what is there of it stays."""
        self._missing = recovered.missing
        self._names = dict(recovered.names)
        self._journal = journal

    @property
    def found(self) -> Mapping[str, Done]:
        """Every picture that was done once, also those whose file is gone, which say so."""
        return self._missing | self.done

    @property
    def known(self) -> Mapping[str, Reason]:
        """What planning needs to know, by id."""
        return known(self.found)

    def picture_of(self, job_id: str) -> Path | None:
        """Return the file with whose pixels something may begin, `history.begun_with`; None while there is none."""
        done = self.done.get(job_id)
        return None if done is None else begun_with(done)

    @property
    def names(self) -> Mapping[str, str]:
        """The name, without suffix, that each picture was first given, by id: also of one whose file is gone.

        No two have the same: a name that stands for another picture by now is left out.
        """
        firsts = {name: key for key, name in reversed(self._names.items())}
        owners = firsts | {each.picture.stem: each.id for each in self.done.values()}
        return {key: name for key, name in self._names.items() if owners[name] == key}

    def save(
        self, *, manifest: str | None, settings: str | None, plan: Mapping[str, Any], sweep: str | None = None
    ) -> None:
        """Keep what the run was asked to do, each file whole or not at all; files that say so already stay.

        Args:
            manifest: Text of the manifest as used, or None where there is none.
            settings: Text of the settings as used, or None.
            plan: JSON values: what was chosen once for the run.
            sweep: Text of every cell that is asked for, as `asked.to_text` writes it, or None.
        """
        texts = {
            self.directory.manifest: manifest,
            self.directory.settings: settings,
            self.directory.plan: json.dumps(dict(plan), indent=1, sort_keys=True) + "\n",
            self.directory.sweep: sweep,
        }
        for path, text in texts.items():
            if text is not None:
                with said_plainly(path):
                    write_atomic(path, text.encode(), self.directory.tmp)

    def publish(self, pictures: Sequence[Fresh]) -> Published:
        """Put pictures and records into place and into the journal; they are durable when this returns.

        Several that arrive together share their syncs, and none is acknowledged before them.

        Raises:
            TryLater: no room; what is not in the journal by then is adopted or made again by the next run.
            StoreError: the file system refuses.
        """
        placed, again, refused = [], [], {}
        with said_plainly(self.directory.root):
            for each in pictures:
                there = self.done.get(each.id) if _frames_in(each) else None
                try:
                    self._place(each) if there is None else self._add_frames(each, there)
                except StoreError as error:
                    refused[each.id] = str(error)
                else:
                    placed.append(each) if there is None else again.append(there)
            if any(each.frames for each in placed) or again:
                sync_directory(self.directory.frames)
            for folder in {self.directory.picture("", each.file.suffix).parent for each in placed}:
                sync_directory(folder)
            sync_directory(self.directory.records)
        done = tuple(self._written_down(each) for each in placed)
        self._journal.sync()
        self.done |= {each.id: each for each in done}
        self._names = {each.id: each.picture.stem for each in done} | self._names
        for made in done:
            # What was kept of it has served. What cannot be removed now is by the next start.
            for kept in (self.directory.latent(made.id), self.directory.bookmark(made.id)):
                with contextlib.suppress(OSError):
                    kept.unlink(missing_ok=True)
        return Published(done=(*again, *done), refused=refused)

    def forget_frames(self, job_id: str) -> None:
        """Remove the kept frames of a clip, with which nothing begins any more. Where that cannot be, they stay."""
        with contextlib.suppress(OSError):
            self.directory.frames_of(job_id).unlink(missing_ok=True)

    def keep_frames_of(self, needed: Container[str]) -> None:
        """Remove the kept frames of all clips but those `needed`, by id."""
        for path in sorted(self.directory.frames.iterdir()):
            if path.stem not in needed:
                self.forget_frames(path.stem)

    def fail(self, job_id: str, reason: str, attempts: int) -> None:
        """Write down that a job got no picture in this run; the next run tries it again."""
        self._journal.append("failed", id=job_id, reason=reason, attempts=attempts)
        self._journal.sync()

    def reject(self, job_ids: Iterable[str]) -> None:
        """Write down that these jobs are not wanted; that survives anything when this returns. No file is touched."""
        ids = tuple(job_ids)
        self._judge("rejected", ids)
        self.rejected |= frozenset(ids)

    def accept(self, job_ids: Iterable[str]) -> None:
        """Take back that these jobs were rejected."""
        ids = tuple(job_ids)
        self._judge("accepted", ids)
        self.rejected -= frozenset(ids)

    def _judge(self, event: str, job_ids: Iterable[str]) -> None:
        for id_ in job_ids:
            self._journal.append(event, id=id_)
        self._journal.sync()

    def _place(self, each: Fresh) -> None:
        record = self.directory.record(each.id)
        if not stands_for(record, each.id):
            reason = f"holds the record of another picture whose id begins alike; {each.id} needs another run directory"
            raise StoreError(reason, where=str(record))
        if each.frames is not None:  # first: a clip that is there counts as done
            each.frames.replace(self.directory.frames_of(each.id))
        final = self.directory.picture(each.stem, each.file.suffix)
        if not final.parent.is_dir():  # before the first clip
            final.parent.mkdir()
            sync_directory(self.directory.root)
        try:
            place(each.file, final)
        except OSError as error:
            if error.errno not in _BAD_NAME:
                raise
            raise StoreError(f"cannot be written: {error.strerror}", where=str(final)) from error
        each.record.replace(record)

    def _add_frames(self, each: Fresh, there: Done) -> None:
        """Keep the frames of a clip that is published already, and was rendered once more for their sake."""
        if each.pixel_sha256 != there.pixel_sha256:
            reason = "is rendered with other frames now than it was, and something begins with them"
            raise StoreError(f"{reason}; move it away, and both are made", where=str(there.picture))
        (_frames_in(each) or each.file).replace(self.directory.frames_of(each.id))
        for left in (each.file, each.record):
            left.unlink(missing_ok=True)

    def _written_down(self, each: Fresh) -> Done:
        path = self.directory.picture(each.stem, each.file.suffix)
        self._journal.append(
            "done",
            id=each.id,
            path=self.directory.relative(path),
            bytes=each.bytes,
            file_sha256=each.file_sha256,
            pixel_sha256=each.pixel_sha256,
            seconds=round(each.seconds, 6),
            attempt=each.attempt,
        )
        return Done(
            id=each.id,
            picture=path,
            bytes=each.bytes,
            file_sha256=each.file_sha256,
            pixel_sha256=each.pixel_sha256,
            seconds=each.seconds,
        )


def _frames_in(each: Fresh) -> Path | None:
    """Return the file with the frames of a clip as they were rendered: it may be the clip itself."""
    return each.file if each.file.suffix == CLIP_SUFFIXES["frames"] else each.frames


@contextlib.contextmanager
def hold(directory: RunDirectory) -> Iterator[Held]:
    """Take the lock of `directory`, which is made if need be, and bring it into order.

    Raises:
        TryLater: somebody else holds it (the message says who), or there is no room.
        UsageError: a part of it is a symbolic link.
        StoreError: it cannot be written.
    """
    with said_plainly(directory.root):
        directory.create()
        lock = take(directory.lock)
    try:
        with said_plainly(directory.journal):
            journal = Journal(directory.journal)
            for folder in (directory.hidden, directory.root, directory.root.parent):
                sync_directory(folder)
        try:
            yield Held(directory, lock, journal, recover(directory, journal))
        finally:
            journal.close()
    finally:
        lock.release()
