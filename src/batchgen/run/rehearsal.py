"""A rehearsal: one step and one decode of every model's largest batch, before anything is rendered in earnest.

What would fail at three at night, because a file is damaged or memory does not hold what is asked for, fails while the
person is still there; and what memory holds is known before the first batch.
"""

from collections.abc import Iterator

from batchgen.errors import EngineError
from batchgen.events import Listener
from batchgen.plan.order import Batch
from batchgen.plan.plan import Group, Plan
from batchgen.run.retries import Queue
from batchgen.run.supervisor import Arrived, GivenUp, Supervisor


def rehearse(plan: Plan, worker: Supervisor, listen: Listener) -> dict[int, int | None]:
    """Try every group of `plan`; return what memory holds of each, by its place in the plan.

    Raises:
        EngineError: a group cannot be rendered. All are tried first, and nothing was rendered.
    """
    most: dict[int, int | None] = {}
    wrong: dict[str, str] = {}
    for place, group in enumerate(plan.groups):
        queue = Queue(_largest(group), group.size, rehearsal=True)
        for news in worker.rendered(group.model, queue):
            if isinstance(news, GivenUp):
                wrong[group.model.name] = news.reason
            elif not isinstance(news, Arrived):
                listen(news)
        most[place] = queue.most
    if wrong:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in wrong.items())
        raise EngineError(f"the rehearsal failed, and nothing was rendered: {reasons}")
    return most


def _largest(group: Group) -> Iterator[Batch]:
    """Yield, for each precision in which the model is read, the batch with the most pixels."""
    found: dict[str, Batch] = {}
    for batch in group.batches:
        precision = batch[0].job.numerics.precision
        if precision not in found or _pixels(batch) > _pixels(found[precision]):
            found[precision] = batch
    yield from found.values()


def _pixels(batch: Batch) -> int:
    canvas = batch[0].job.canvas
    return canvas.width * canvas.height * len(batch)
