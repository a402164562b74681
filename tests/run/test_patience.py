"""When a silent worker counts as hung: by the rules alone, and then with real workers that hang."""

import signal
from itertools import pairwise

import pytest

from batchgen.engine import Runtime
from batchgen.run.patience import NAP, PATIENCE, Patience, Watch
from batchgen.run.runner import Work
from batchgen.store.history import history

SHORT = Patience(opening=60.0, quiet=3.0, step=2.0, grace=0.5)
"""Short enough for a test, and long enough for a machine that does something else meanwhile."""


def limit(watch):
    """Seconds of silence after which `watch` gives its verdict."""
    for seconds in range(4000):
        if watch.verdict:
            return seconds - 1
        watch.passed(NAP)
    raise AssertionError("it waits for ever")


def watching(*gaps, steps=100, again=False):
    """A watch on a batch that has taken a step, and then one after each of `gaps` seconds."""
    watch = Watch(PATIENCE)
    watch.rests()
    watch.begins("a kind", steps, again=again)
    now = 0.0
    for number, gap in enumerate((0.0, *gaps), start=1):
        now += gap
        watch.steps(number, now)
    return watch


def test_opening_a_model_may_take_half_an_hour():
    assert limit(Watch(PATIENCE)) == 1800


@pytest.mark.parametrize(
    ("gaps", "seconds"),
    [((0.1, 0.1), 60), ((6, 6, 6), 60), ((7, 7, 7), 70), ((100,), 1000), ((0.1, 20, 20), 200), ((20, 20, 500), 200)],
)
def test_between_steps_the_limit_is_a_minute_or_ten_times_the_median_step(gaps, seconds):
    assert limit(watching(*gaps)) == seconds


def test_before_the_first_step_of_a_new_kind_of_batch_nothing_is_known():
    watch = watching(1, 1)

    watch.begins("another kind", 100, again=False)
    first = limit(watch)
    watch.begins("another kind", 100, again=False)
    watch.steps(1, 0.0)

    assert (first, limit(watch)) == (1800, 600)


def test_before_the_first_step_of_a_kind_that_is_known_there_is_time_to_encode_prompts():
    watch = watching(1, 1)

    watch.begins("a kind", 100, again=False)

    assert limit(watch) == 600


@pytest.mark.parametrize(("gap", "seconds"), [(1, 600), (90, 900)])
def test_after_the_last_step_there_is_time_to_decode(gap, seconds):
    assert limit(watching(*[gap] * 4, steps=5)) == seconds


def test_a_batch_that_is_tried_again_gets_more_time_so_that_no_healthy_one_is_given_up():
    assert limit(watching(1, 1, again=True)) == 600


def test_any_word_begins_the_silence_anew():
    watch = watching(1, 1)

    for _ in range(5):
        watch.passed(NAP)
        watch.lives()

    assert limit(watch) == 60


def test_a_machine_that_was_suspended_blames_nobody():
    watch = watching(1, 1)

    watch.passed(100_000.0)

    assert watch.verdict is None


def test_the_verdict_says_what_was_missed_for_how_long():
    watch = watching(1, 1)

    limit(watch)

    assert watch.verdict == "hung: no step for 61 s"


def work(a, patience=SHORT):
    return Work(runtime=Runtime(engine="fake"), stem=a.stem, patience=patience)


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "hang", "value": 0},  # before the first step
        {"do": "hang", "value": 2},  # between steps
        {"do": "hang", "value": 4},  # while decoding
        {"do": "hang_deaf", "value": 2},
    ],
    ids=str,
)
def test_a_worker_that_hangs_once_is_replaced_and_costs_no_picture(a, directory, faults, fault):
    faults(fault | {"seed": 5, "times": 1})
    asked = a.cells(12, steps=4)

    outcome = a.go(directory, asked, work=work(a))

    assert outcome.error is None
    assert outcome.failed == {}
    assert len(outcome.loads) == 2
    a.check(directory, asked)
    attempts = {record["recipe"]["seed"]: record["execution"]["attempt"] for record in a.records(directory)}
    assert {attempts[seed] for seed in range(4, 8)} == {2}
    # Nobody had begun the last batch: it is innocent.
    assert {attempts[seed] for seed in range(8, 12)} == {1}


def test_a_job_that_always_hangs_fails_alone_and_says_so(a, directory, faults):
    faults({"do": "hang", "value": 2, "seed": 5})
    asked = a.cells(8)

    outcome = a.go(directory, asked, work=work(a))

    assert list(outcome.failed) == [asked[5].job.id]
    a.check(directory, [cell for cell in asked if cell.job.seed != 5])
    (why,) = history(directory).failed.values()
    assert why.startswith("tried 3 times; hung: no step for ")


def test_a_worker_that_is_slow_but_takes_its_steps_is_left_in_peace(a, directory, faults):
    """Steps of half a second each: longer together than the limits for steps and quiet, but each is a sign of life."""
    faults({"do": "sleep", "value": 500, "seed": 0})

    outcome = a.go(directory, a.cells(1, steps=10), work=work(a))

    assert (outcome.failed, outcome.loads) == ({}, ["toy"])
    assert [event.step for event in outcome.events if type(event).__name__ == "Stepped"] == list(range(1, 11))


def test_a_batch_that_is_healthy_and_much_slower_than_the_one_before_gets_its_time_at_the_second_try(
    a, directory, faults
):
    faults({"do": "sleep", "value": 6000, "seed": 4})
    asked = a.cells(8, steps=2)

    outcome = a.go(directory, asked, work=work(a, Patience(quiet=20.0, step=3.0)))

    assert outcome.failed == {}
    a.check(directory, asked)
    attempts = {record["recipe"]["seed"]: record["execution"]["attempt"] for record in a.records(directory)}
    assert attempts[4] == 2


def test_a_run_that_was_asked_to_stop_does_not_wait_for_a_worker_that_hangs(a, directory, faults):
    faults({"do": "hang", "value": 2, "seed": 5})
    events = []

    def listen(event):
        events.append(type(event).__name__)
        if events.count("Stepped") == 5 and events[-1] == "Stepped":
            signal.raise_signal(signal.SIGINT)

    outcome = a.go(directory, a.cells(12), work=work(a), listen=listen)

    assert outcome.summary.interrupted
    a.check(directory, a.cells(4))


def test_limits_are_in_order():
    found = [PATIENCE.grace, PATIENCE.step, PATIENCE.quiet, PATIENCE.opening]

    assert all(shorter < longer for shorter, longer in pairwise(found))
