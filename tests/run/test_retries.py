import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.run.retries import MOST_ATTEMPTS, Queue


def ids(batch):
    return [cell.job.seed for cell in batch.cells]


def drained(queue):
    found = []
    while queue:
        found.append(queue.next())
    return found


@pytest.fixture
def queue(a):
    cells = a.cells(10)
    return Queue([tuple(cells[:4]), tuple(cells[4:8]), tuple(cells[8:])])


def test_batches_come_as_planned(queue):
    assert [ids(batch) for batch in drained(queue)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_batch_that_nobody_began_is_next_and_keeps_its_attempts(queue):
    batch = queue.next()

    queue.give_back(batch)

    assert queue.next() == batch


def test_a_failed_batch_is_tried_again_as_it_was_and_then_one_by_one(queue):
    first, *_ = drained(queue)
    every = [cell.job.id for cell in first.cells]

    assert queue.retry(first, every, alone=False) == ()
    (second,) = drained(queue)
    assert (ids(second), second.attempt, second.degradations) == ([0, 1, 2, 3], 2, ())

    assert queue.retry(second, every, alone=False) == ()
    singles = drained(queue)
    assert [ids(each) for each in singles] == [[0], [1], [2], [3]]
    assert {each.degradations for each in singles} == {("attempt 3: rendered alone instead of 4 together",)}

    assert [cell.job.seed for cell in queue.retry(singles[1], every[1:2], alone=False)] == [1]
    assert not queue


def test_only_the_jobs_without_a_picture_are_tried_again(queue):
    first, *_ = drained(queue)

    queue.retry(first, [first.cells[2].job.id], alone=False)

    assert [ids(batch) for batch in drained(queue)] == [[2]]


def test_after_a_death_a_batch_has_the_worker_for_itself(queue):
    first, *_ = drained(queue)

    queue.retry(first, [cell.job.id for cell in first.cells], alone=True)

    assert queue.next_is_alone
    assert queue.next().alone


def test_a_batch_that_does_not_fit_is_halved_and_so_are_all_after_it(queue):
    queue.halve(queue.next())

    batches = drained(queue)

    assert [ids(batch) for batch in batches] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert batches[0].degradations == ("out of memory: 2 at a time instead of 4",)
    assert batches[2].degradations == ("memory: at most 2 at a time instead of 4",)
    assert batches[4].degradations == ()
    assert {batch.attempt for batch in batches} == {1}


def test_a_single_job_that_does_not_fit_has_three_attempts(a):
    queue = Queue([(a.cell(),)])

    for _ in range(MOST_ATTEMPTS - 1):
        assert queue.halve(queue.next()) == ()

    assert queue.halve(queue.next()) == (a.cell(),)
    assert not queue


def test_a_group_that_is_given_up_is_empty(queue):
    assert len(queue.abandon()) == 10
    assert not queue


@given(st.data())
def test_whatever_goes_wrong_every_job_ends_exactly_once(a, data):
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    cells = iter(a.cells(sum(sizes)))
    queue = Queue([tuple(next(cells) for _ in range(size)) for size in sizes])
    ended = []

    for _ in range(300):
        if not queue:
            break
        batch = queue.next()
        every = [cell.job.id for cell in batch.cells]
        what = data.draw(st.sampled_from(["made", "failed", "died", "memory", "given back", "one failed"]))
        if what == "made":
            ended += batch.cells
        elif what in ("failed", "died"):
            ended += queue.retry(batch, every, alone=what == "died")
        elif what == "memory":
            ended += queue.halve(batch)
        elif what == "one failed":
            ended += [*batch.cells[1:], *queue.retry(batch, every[:1], alone=False)]
        else:
            queue.give_back(batch)
    ended += queue.abandon()

    assert sorted(cell.job.seed for cell in ended) == list(range(sum(sizes)))
