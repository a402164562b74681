"""Imported by every Python that has this folder on its path: lets a worker write down each picture it has rendered.

A line is `<id of the job> <process id of the worker>`. Engines know nothing of it, so the embedded model is counted in
the same way as the fake one.
"""

import os
import sys

if "batchgen.run.worker" in sys.orig_argv and "TRIAL_RENDERED" in os.environ:
    from batchgen.run.encoding import Encoders, Finishing

    _file = os.open(os.environ["TRIAL_RENDERED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    _take = Encoders.take

    def _taken(self: Encoders, picture: Finishing) -> None:
        os.write(_file, f"{picture.asked.job.id} {os.getpid()}\n".encode())
        _take(self, picture)

    Encoders.take = _taken  # type: ignore[method-assign]  # that is what a hook is
