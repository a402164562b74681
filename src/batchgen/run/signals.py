"""Ctrl-C: the first asks the run to finish the batch in hand and leave, the second to leave at once.

A time to stop at, if one was given, asks as the first Ctrl-C does.
"""

import contextlib
import os
import signal
import threading
import time
from types import FrameType
from typing import Any, Self

_HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Counts the signals that ask a run to stop, while it is entered.

    `wake` becomes readable with each, so that a `select` that waits for the worker sees it too.
    """

    def __init__(self, until: float | None = None) -> None:
        """Listen from `__enter__` on; ask to stop at the time `until` (seconds since 1970), too."""
        self.count = 0
        self._until = until
        self.wake, self._wakes = os.pipe()
        os.set_blocking(self.wake, False)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Begin to listen. Signals that the caller ignores, as `nohup` does, stay ignored."""
        # Python hands signals to the main thread only, and lets only that one ask for them.
        if threading.current_thread() is threading.main_thread():
            for number in _HEARD:
                before = signal.getsignal(number)
                if before is not signal.SIG_IGN and before is not None:
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        for number, before in self._before.items():
            signal.signal(number, before)
        os.close(self.wake)
        os.close(self._wakes)

    @property
    def asked_to_stop(self) -> bool:
        """Whether the run should finish what it has in hand and leave."""
        return self.count > 0 or (self._until is not None and time.time() >= self._until)

    def drain(self) -> None:
        """Make `wake` wait for the next signal."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, 64)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        with contextlib.suppress(OSError):
            os.write(self._wakes, b".")
