from batchgen.engine import Runtime
from batchgen.events import Finished, Loading, Rehearsed, Started
from batchgen.run.runner import Work


def rehearsing(a, **others):
    return Work(runtime=Runtime(engine="fake"), stem=a.stem, rehearse=True, **others)


def test_every_model_is_tried_with_its_largest_batch_before_the_first_picture(a, directory):
    asked = [*a.cells(3, "one"), *a.cells(5, "two", width=128), a.cell(7, "two")]

    outcome = a.go(directory, asked, work=rehearsing(a))

    assert [(event.model, event.together) for event in outcome.of(Rehearsed)] == [("one", 3), ("two", 4)]
    kinds = [type(event) for event in outcome.events]
    assert kinds.index(Finished) > max(place for place, kind in enumerate(kinds) if kind is Rehearsed)
    assert outcome.summary.made == 9
    a.check(directory, asked)


def test_a_precision_for_which_the_model_is_read_again_is_tried_too(a, directory):
    asked = [*a.cells(2, precision="fp32"), *a.cells(3, precision="fp16")]

    outcome = a.go(directory, asked, work=rehearsing(a))

    assert sorted(event.together for event in outcome.of(Rehearsed)) == [2, 3]


def test_where_one_model_fails_all_are_tried_and_nothing_is_rendered(a, directory, faults):
    faults({"do": "error", "seed": 0})
    asked = [*a.cells(2, "one"), *(a.cell(seed, "two") for seed in (5, 6))]

    outcome = a.go(directory, asked, work=rehearsing(a))

    assert "one: tried 3 times; asked to fail: error" in str(outcome.error)
    assert "nothing was rendered" in str(outcome.error)
    assert outcome.error.exit_code == 1
    assert [event.model for event in outcome.of(Rehearsed)] == ["one", "two"]  # the other picture of `one`, alone
    assert outcome.made == []
    assert a.records(directory) == []


def test_what_memory_holds_is_known_before_the_first_batch(a, directory, faults):
    faults({"do": "out_of_memory", "value": 2})

    outcome = a.go(directory, a.cells(8), work=rehearsing(a))

    assert [event.together for event in outcome.of(Rehearsed)] == [2, 2]
    records = a.records(directory)
    assert {record["execution"]["batch_size"] for record in records} == {2}
    assert {tuple(record["execution"]["degradations"]) for record in records} == {
        ("memory: at most 2 at a time instead of 4",)
    }


def test_a_worker_that_dies_while_rehearsing_is_replaced_as_ever(a, directory, faults):
    faults({"do": "signal", "value": 11, "times": 1})

    outcome = a.go(directory, a.cells(4), work=rehearsing(a))

    assert outcome.summary.made == 4
    assert len(outcome.of(Loading)) == 2


def test_where_nothing_is_to_be_made_nothing_is_rehearsed(a, directory):
    a.go(directory, a.cells(2))

    outcome = a.go(directory, a.cells(2), work=rehearsing(a))

    assert [type(event) for event in outcome.events[:1]] == [Started]
    assert outcome.of(Rehearsed) == outcome.loads == []
