"""Pictures count only if their model's files are still those that were hashed when the run was planned.

A record says which weights made its picture. Weights lie mapped in memory, so that a file which is written over changes
the model in the middle of a night, without a word.
"""

from collections.abc import Callable, Iterator

from batchgen.job import Model
from batchgen.run.retries import Queue
from batchgen.run.supervisor import Arrived, GivenUp, News, Supervisor

Changed = Callable[[Model], str | None]
"""Says why the files of a model are not those that were hashed; None if they are."""


def sealed(worker: Supervisor, model: Model, queue: Queue, changed: Changed) -> Iterator[News]:
    """Render what is in `queue`, and give it up once the files of `model` have changed.

    They are looked at when the group begins and whenever pictures have arrived, the last ones too.
    """
    yield from _given_up(queue, changed(model))
    for news in worker.rendered(model, queue):
        reason = changed(model) if isinstance(news, Arrived) else None
        if isinstance(news, Arrived) and reason:
            yield from (GivenUp(id=made.id, reason=reason, attempts=made.attempt) for made in news.pictures)
            yield from _given_up(queue, reason)
        else:
            yield news


def _given_up(queue: Queue, reason: str | None) -> Iterator[GivenUp]:
    if reason:
        yield from (GivenUp(id=cell.job.id, reason=reason, attempts=0) for cell in queue.abandon())
