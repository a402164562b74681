from pathlib import Path

from batchgen.store.layout import RunDirectory


def test_everything_lies_inside_the_run_directory():
    directory = RunDirectory(Path("/runs/herons"))
    names = [name for name, value in vars(RunDirectory).items() if isinstance(value, property)]

    paths = [getattr(directory, name) for name in names] + [directory.picture("a"), directory.record("f" * 64)]

    assert all(path.is_relative_to(directory.root) for path in paths)
    assert len(set(paths)) == len(paths)


def test_the_journal_holds_paths_that_survive_a_move():
    directory = RunDirectory(Path("/runs/herons"))

    assert directory.relative(directory.picture("a_s0")) == "pictures/a_s0.png"
    assert directory.relative(directory.record("0123456789abcdef")) == "records/0123456789ab.json"


def test_making_the_folders_twice_is_fine(tmp_path):
    directory = RunDirectory(tmp_path / "deep" / "herons")

    directory.create()
    directory.create()

    assert sorted(path.name for path in directory.root.iterdir()) == [".batchgen", "pictures", "records"]
