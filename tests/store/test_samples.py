import json

import pytest

from batchgen.plan.estimate import estimate
from batchgen.store.held import hold
from batchgen.store.samples import samples

CHANGES = [
    {"width": 0},
    {"width": "wide"},
    {"height": -8},
    {"height": 10**400},
    {"steps": 0},
    {"steps": None},
    {"steps": [1]},
    {"sampler": []},
    {"sampler": "none of ours"},
    {"model": []},
    {"model": {}},
]


def publish(build_, directory, *jobs):
    with hold(directory) as held:
        held.publish([build_.fresh(directory, job) for job in jobs])


def change(directory, job, changes):
    record = json.loads(directory.record(job.id).read_text())
    directory.record(job.id).write_text(json.dumps(record | {"recipe": record["recipe"] | changes}))


def test_each_picture_of_a_model_is_a_sample(build_, directory):
    publish(build_, directory, build_.job(1), build_.job(2))

    found = list(samples([directory.root], {build_.model.digest}))

    assert [(each.pixels, each.seconds, each.model) for each in found] == [(64 * 48, 0.5, build_.model.digest)] * 2
    assert list(samples([directory.root], {"f" * 64})) == []


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: json.dumps(changes)[:24])
def test_a_record_that_says_nonsense_is_passed_over(build_, directory, changes):
    jobs = [build_.job(1), build_.job(2)]
    publish(build_, directory, *jobs)
    change(directory, jobs[0], changes)

    found = list(samples([directory.root], {build_.model.digest}))

    assert len(found) == 1
    assert estimate(jobs, found).known == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"recipe": 3}', "[" * 100_000], ids=lambda text: text[:12])
def test_a_record_that_is_none_is_passed_over(build_, directory, text):
    publish(build_, directory, build_.job(1), build_.job(2))
    directory.record(build_.job(1).id).write_text(text)

    assert len(list(samples([directory.root], {build_.model.digest}))) == 1


def test_a_run_that_cannot_be_read_is_passed_over(build_, directory, tmp_path):
    publish(build_, directory, build_.job())
    (tmp_path / "broken" / ".batchgen" / "journal.jsonl").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"")

    runs = [tmp_path / "broken", tmp_path / "none", tmp_path / "file", directory.root]

    assert len(list(samples(runs, {build_.model.digest}))) == 1
