import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from batchgen.errors import TryLater
from batchgen.store.lock import at_work, read_holder, take

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


def written(path, **changes):
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": "2026-01-01T00:00:00+00:00", "worker": 0}
    path.write_text(json.dumps(holder | changes))


def test_a_released_lock_names_nobody(path):
    lock = take(path)
    assert at_work(path) == lock.holder

    lock.release()

    assert path.read_bytes() == b""
    assert read_holder(path) is None
    assert at_work(path) is None


def test_nobody_is_at_work_where_there_is_no_lock(path):
    assert at_work(path) is None
    assert not path.exists()


@pytest.mark.parametrize(
    "changes", [{"host": "elsewhere"}, {}, {"pid": 1 << 40}], ids=["moved", "pid alive", "nonsense"]
)
def test_what_a_killed_run_left_written_is_not_at_work(path, changes):
    written(path, **changes)

    assert at_work(path) is None


def test_a_holder_on_another_machine_is_at_work_while_the_lock_is_held(path):
    lock = take(path)
    written(path, host="elsewhere", pid=1)

    assert at_work(path).host == "elsewhere"
    lock.release()


def test_a_killed_holder_is_not_at_work(path):
    child = start(path)
    child.stdout.readline()
    assert at_work(path).pid == child.pid

    child.send_signal(signal.SIGKILL)
    child.wait()

    assert read_holder(path).pid == child.pid
    assert at_work(path) is None
    end(child)


def test_a_worker_that_outlived_its_run_is_at_work_under_its_own_id(path):
    lock = take(path)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[lock.file]
    )
    lock.name_worker(child.pid)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    written(path, pid=int(gone.stdout), worker=child.pid)

    lock.release()

    assert read_holder(path).worker == child.pid
    assert at_work(path).pid == child.pid
    child.communicate(timeout=20)
    assert at_work(path) is None


def test_a_holder_that_could_not_write_itself_down_is_at_work_all_the_same(path):
    lock = take(path)
    for nonsense in (
        b"",
        b"[" * 5000,
        b'{"host": [], "pid": "x", "started": 3}',
        b'{"host":"a","pid":-1,"started":""}',
    ):
        path.write_bytes(nonsense)

        assert at_work(path).pid == 0
        with pytest.raises(TryLater, match="held by another run"):
            take(path)
    lock.release()


def test_who_asks_does_not_disturb_a_run_that_starts_meanwhile(path):
    """As `at_work` asks: the lock is had, shared, when the run begins, and let go before it tries again."""
    path.touch()
    asking = os.open(path, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)

    take(path, nap=lambda _: os.close(asking)).release()


def test_many_who_ask_at_once_do_not_see_each_other(path):
    path.touch()
    asking = os.open(path, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)

    assert at_work(path) is None

    os.close(asking)


def test_a_lock_is_not_taken_or_asked_through_a_link(path, tmp_path):
    (tmp_path / "thesis").write_bytes(b"years of work")
    path.symlink_to(tmp_path / "thesis")

    with pytest.raises(OSError, match="symbolic links"):
        take(path)

    assert at_work(path) is None
    assert (tmp_path / "thesis").read_bytes() == b"years of work"
