import pytest

from batchgen.engine import Runtime
from batchgen.events import Finished
from batchgen.run.runner import Work
from batchgen.store.history import history
from batchgen.store.journal import read

WHY = "/models/one: its files were changed"


def work(a, changed):
    return Work(runtime=Runtime(engine="fake"), stem=a.stem, changed=changed)


def test_pictures_that_arrive_after_a_models_files_have_changed_are_not_published(a, directory, faults):
    faults({"do": "sleep", "value": 50})  # so that pictures are published while others are rendered
    published = []

    def changed(model):
        return WHY if model.name == "one" and len(published) >= 4 else None

    def listen(event):
        if isinstance(event, Finished):
            published.append(event.id)

    asked = [*a.cells(40, "one"), *a.cells(3, "two")]
    outcome = a.go(directory, asked, work=work(a, changed), listen=listen)

    assert outcome.summary.made == len(published)
    assert 3 < len(published) < 40  # those of one arrival are published together
    assert outcome.summary.failed == 43 - len(published)
    assert set(history(directory).failed.values()) == {WHY}
    assert len(list(directory.pictures.iterdir())) == len(published)
    rendered = [entry for entry in read(directory.journal).entries if entry["event"] == "failed" and entry["attempts"]]
    assert len(rendered) < 20  # what was not in the worker yet is not rendered for nothing


def test_a_model_whose_files_have_changed_since_planning_is_not_even_loaded(a, directory):
    asked = [*a.cells(3, "one"), *a.cells(3, "two")]

    outcome = a.go(directory, asked, work=work(a, lambda model: WHY if model.name == "one" else None))

    assert outcome.loads == ["two"]
    assert (outcome.summary.made, outcome.summary.failed) == (3, 3)


@pytest.mark.parametrize("batch", [1, 4])
def test_files_are_looked_at_once_more_after_the_last_picture_of_a_group(a, directory, batch):
    asked_about = []

    def changed(model):
        asked_about.append(model.name)

    finished = []
    a.go(directory, a.cells(4, "one"), batch=batch, work=work(a, changed), listen=finished.append)

    assert len(asked_about) >= 2
    assert sum(isinstance(event, Finished) for event in finished) == 4
