import json
import os
import re
import sys

import pytest

from batchgen.engine import Runtime
from batchgen.errors import TryLater
from batchgen.events import Ended, Finished, Loading, Started, Stepped
from batchgen.run.runner import Work
from batchgen.store.held import hold
from batchgen.store.history import history
from batchgen.store.journal import read


def test_every_picture_asked_for_is_there_and_is_the_right_one(a, directory):
    asked = a.cells(19)

    outcome = a.go(directory, asked)

    assert (outcome.summary.made, outcome.summary.failed, outcome.summary.left) == (19, 0, 0)
    a.check(directory, asked)
    assert sorted(outcome.made) == sorted(cell.job.id for cell in asked)


def test_a_run_says_what_happens_in_order(a, directory):
    events = a.go(directory, a.cells(2)).events

    assert events[0] == Started(directory=directory.root, asked=2, done=0)
    assert [type(event) for event in events[1:3]] == [Loading, a.go.__globals__["Loaded"]]
    assert [event.step for event in events if isinstance(event, Stepped)] == [1, 2, 3]
    assert isinstance(events[-1], Ended)
    assert (events[-1].made, events[-1].failed, events[-1].left) == (2, 0, 0)


def test_batches_are_made(a, directory):
    a.go(directory, a.cells(10), batch=4)

    sizes = sorted(record["execution"]["batch_size"] for record in a.records(directory))
    assert sizes == [2] * 2 + [4] * 8
    for record in a.records(directory):
        execution = record["execution"]
        assert execution["batch_ids"][execution["batch_index"]] == record["id"]


def test_finished_is_said_when_the_journal_has_it(a, directory):
    lines = []

    def listen(event):
        if isinstance(event, Finished):
            lines.append(event.id in {entry["id"] for entry in read(directory.journal).entries})
            assert event.picture.exists()

    from batchgen.plan.plan import make_plan
    from batchgen.run.runner import run

    with hold(directory) as held:
        run(make_plan(a.cells(9), {}, batch=2), held, Work(runtime=Runtime(engine="fake"), stem=a.stem), listen)

    assert lines == [True] * 9


def test_a_second_run_opens_no_model_and_starts_no_worker(a, directory):
    asked = a.cells(5)
    a.go(directory, asked)
    directory.worker_log.unlink()

    outcome = a.go(directory, asked)

    assert [type(event) for event in outcome.events] == [Started, Ended]
    assert outcome.events[0].done == 5
    assert not directory.worker_log.exists()


def test_only_what_is_new_is_made(a, directory):
    a.go(directory, a.cells(5))

    outcome = a.go(directory, a.cells(7))

    assert len(outcome.made) == 2
    a.check(directory, a.cells(7))


def test_each_model_is_opened_once_however_they_are_mixed(a, directory):
    asked = [a.cell(seed, name) for seed in range(4) for name in ("one", "two")]

    outcome = a.go(directory, asked, batch=1)

    assert outcome.loads == ["one", "two"]
    a.check(directory, asked)


def test_records_hold_what_was_asked_and_how_it_was_made(a, directory):
    asked = a.cell(7, label="SH020", note="for the cover")
    work = Work(runtime=Runtime(engine="fake"), stem=a.stem, manifest={"name": "herons", "sha256": "f" * 64})

    a.go(directory, [asked], work=work)

    (record,) = a.records(directory)
    assert record["recipe"] == dict(asked.job.recipe)
    assert (record["name"], record["note"]) == ("SH020", "for the cover")
    assert record["manifest"] == {"name": "herons", "sha256": "f" * 64}
    assert record["environment"]["engine"] == "fake"
    assert record["execution"]["denoiser_evaluations"] == 3
    assert record["execution"]["attempt"] == 1
    assert record["output"]["single_colour"] is False
    assert str(directory.root) not in json.dumps(record)


@pytest.mark.parametrize(
    "prompt", ["\0\n\r\u2028", "日本語 🐦 \u202e", "x" * 200_000, '{"is": "Stop"}\n', "${oc.env:HOME}"]
)
def test_any_prompt_comes_through(a, directory, prompt):
    asked = [a.cell(0, prompt=prompt), a.cell(1, prompt=prompt, negative_prompt=prompt)]

    a.go(directory, asked)

    a.check(directory, asked)
    assert {record["recipe"]["prompt"] for record in a.records(directory)} == {prompt}


@pytest.mark.parametrize(
    "do", [{"do": "signal", "value": 9}, {"do": "signal", "value": 11}, {"do": "exit", "value": 137}]
)
def test_a_worker_that_dies_once_costs_no_picture(a, directory, faults, do):
    faults(do | {"seed": 5, "times": 1})
    asked = a.cells(12)

    outcome = a.go(directory, asked)

    assert outcome.summary.failed == 0
    assert len(outcome.loads) == 2
    a.check(directory, asked)
    # The batch is tried again as it was: nothing about its bits has changed. (Of the one before it, what was not yet
    # written when the worker died is made again, too.)
    executions = {record["recipe"]["seed"]: record["execution"] for record in a.records(directory)}
    assert {(executions[seed]["attempt"], executions[seed]["batch_size"]) for seed in range(4, 8)} == {(2, 4)}
    assert {(executions[seed]["attempt"], executions[seed]["batch_size"]) for seed in range(8, 12)} == {(1, 4)}
    assert all(each["degradations"] == [] for each in executions.values())


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ({"do": "signal", "value": 9}, "ended by SIGKILL"),
        ({"do": "exit", "value": 3}, "exit status 3"),
        ({"do": "error"}, "asked to fail: error"),
        ({"do": "not_finite"}, "asked to fail: not_finite"),
        ({"do": "device"}, "asked to fail: device"),
        ({"do": "crash"}, "RuntimeError: nobody expected this"),
        ({"do": "too_few"}, "0 pictures for 1 jobs"),
        ({"do": "wrong_size"}, r"\(47, 64, 3\), 'uint8'\) instead of \(\(48, 64, 3\)"),
        ({"do": "no_json"}, "not JSON compliant"),
    ],
)
def test_a_job_that_always_fails_fails_alone_and_says_why(a, directory, faults, do, reason):
    faults(do | {"seed": 5})
    asked = a.cells(12)

    outcome = a.go(directory, asked)

    assert list(outcome.failed) == [asked[5].job.id]
    assert outcome.summary.made == 11
    a.check(directory, [cell for cell in asked if cell.job.seed != 5])
    with pytest.raises(AssertionError):
        a.check(directory, asked)
    (why,) = history(directory).failed.values()
    assert re.search(reason, why), why


def test_the_next_run_tries_what_failed_again(a, directory, faults):
    faults({"do": "error", "seed": 1, "times": 3})
    assert a.go(directory, a.cells(3), batch=1).summary.failed == 1

    assert a.go(directory, a.cells(3), batch=1).summary.made == 1

    a.check(directory, a.cells(3))
    assert history(directory).failed == {}


def test_the_reason_quotes_what_the_worker_said_last(a, directory, tmp_path):
    from batchgen.plan.plan import make_plan
    from batchgen.run.messages import SetUp
    from batchgen.run.retries import Queue
    from batchgen.run.signals import Signals
    from batchgen.run.supervisor import GivenUp, Supervisor

    broken = (sys.executable, "-c", "import sys; sys.exit('no module called torch')")
    with hold(directory) as held, Signals() as signals:
        setup = SetUp(runtime=Runtime(engine="fake"), tmp=directory.tmp, compression=1, manifest=None)
        (group,) = make_plan(a.cells(2), {}, batch=2).groups
        with Supervisor(setup, held.lock, directory.worker_log, signals, broken) as worker:
            news = [each for each in worker.rendered(group.model, Queue(group.batches)) if isinstance(each, GivenUp)]

    assert len(news) == 2
    assert news[0].reason == (
        "tried 3 times; the worker ended with exit status 1; its log ends with: no module called torch"
    )


def test_a_model_that_cannot_be_opened_fails_its_jobs_and_no_others(a, directory, faults):
    faults({"do": "open", "times": 1})
    asked = a.cells(3, "one") + a.cells(3, "two")

    outcome = a.go(directory, asked)

    assert outcome.failed == {cell.job.id: "one: asked not to open" for cell in asked[:3]}
    assert outcome.loads == ["two"]
    a.check(directory, asked[3:])


def test_out_of_memory_halves_the_batches_of_the_group_and_says_so(a, directory, faults):
    faults({"do": "out_of_memory", "value": 2})
    asked = a.cells(16)

    outcome = a.go(directory, asked, batch=8)

    assert outcome.summary.failed == 0
    a.check(directory, asked)
    executions = [record["execution"] for record in a.records(directory)]
    assert {each["batch_size"] for each in executions} == {2}
    assert all("memory" in each["degradations"][0] for each in executions)


def test_pictures_of_one_colour_are_flagged(a, directory, faults):
    faults({"do": "single_colour", "seed": 1})

    a.go(directory, a.cells(3))

    flagged = {record["recipe"]["seed"]: record["output"]["single_colour"] for record in a.records(directory)}
    assert flagged == {0: False, 1: True, 2: False}


def test_a_full_disk_ends_the_run_and_nothing_counts_that_is_not_there(a, directory):
    """A limit on the size of files stands for the disk: the journal grows into it."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY));"
        "from batchgen.run.worker import main; main(sys.argv[1:])"
    )
    asked = a.cells(12, width=128, height=128)
    from batchgen.plan.plan import make_plan
    from batchgen.run.messages import SetUp
    from batchgen.run.retries import Queue
    from batchgen.run.signals import Signals
    from batchgen.run.supervisor import Supervisor

    def worker(held, signals, *words):
        setup = SetUp(runtime=Runtime(engine="fake"), tmp=directory.tmp, compression=0, manifest=None)
        return Supervisor(setup, held.lock, directory.worker_log, signals, *words)

    with hold(directory) as held, Signals() as signals:
        (group,) = make_plan(asked, {}, batch=4).groups
        with (
            pytest.raises(TryLater, match="File too large"),
            worker(held, signals, (sys.executable, "-c", code)) as each,
        ):
            list(each.rendered(group.model, Queue(group.batches)))
    assert not list(directory.pictures.iterdir())

    a.go(directory, asked)
    a.check(directory, asked)


def test_nothing_of_a_run_with_the_fake_engine_imports_torch(a, directory, tmp_path):
    """A torch that cannot be imported stands in front of the real one, for the run and for its worker."""
    for name in ("torch", "diffusers", "transformers"):
        (tmp_path / "barred" / name).mkdir(parents=True)
        (tmp_path / "barred" / name / "__init__.py").write_text("raise SystemExit('was imported')")
    path = os.pathsep.join([str(tmp_path / "barred"), *filter(None, sys.path)])

    child = a.start(directory, 4, env=os.environ | {"PYTHONPATH": path})
    said, _ = child.communicate(timeout=60)

    assert child.returncode == 0, said
    assert len(said.splitlines()) == 4
    a.check(directory, a.cells(4))
