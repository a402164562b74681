import json
import subprocess
import sys

import pytest

from batchgen.errors import TryLater
from batchgen.store.lock import take

TAKE = """
import sys, time
from pathlib import Path
from batchgen.errors import TryLater
from batchgen.store.lock import take
try:
    lock = take(Path(sys.argv[1]))
except TryLater as error:
    print("refused", error, flush=True)
else:
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "herons" / ".batchgen").mkdir(parents=True)
    return tmp_path / "herons" / ".batchgen" / "lock"


def start(path):
    return subprocess.Popen(
        [sys.executable, "-c", TAKE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def end(child):
    child.communicate(timeout=20)


def test_a_second_holder_is_refused_and_told_of_the_first(path):
    child = start(path)
    assert child.stdout.readline() == "held\n"

    with pytest.raises(TryLater, match=f"process {child.pid} on .* since 20"):
        take(path)

    end(child)
    take(path).release()


def test_of_many_that_start_together_one_wins(path):
    children = [start(path) for _ in range(12)]
    answers = sorted(child.stdout.readline().split()[0] for child in children)

    for child in children:
        end(child)
    assert answers == ["held"] + ["refused"] * 11


def test_a_killed_holder_leaves_no_lock(path):
    child = start(path)
    child.stdout.readline()

    child.kill()
    child.wait()

    take(path).release()
    end(child)


def test_a_child_that_inherited_the_lock_keeps_it_and_is_named(path):
    lock = take(path)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[lock.file]
    )
    lock.name_worker(child.pid)
    # As if this process were long gone: its id stands for nobody.
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": int(gone.stdout)}))
    lock.release()

    with pytest.raises(TryLater, match=f"the worker {child.pid} .* outlived its run"):
        take(path)

    child.communicate(timeout=20)
    take(path).release()


def test_closing_another_descriptor_of_the_file_does_not_lose_the_lock(path):
    lock = take(path)
    path.read_bytes()

    child = start(path)

    assert child.stdout.readline().startswith("refused")
    end(child)
    lock.release()


def test_an_unreadable_lock_file_is_no_obstacle(path):
    path.write_bytes(b"\xff{")
    lock = take(path)
    path.write_bytes(b"\xff{")

    with pytest.raises(TryLater, match="held by another run"):
        take(path)
    lock.release()
