"""Imported by every Python that has this folder on its path: lets a worker write down what it does.

In the file TRIAL_RENDERED, each picture it has rendered: `<id of the job> <process id of the worker>`. Engines know
nothing of it, so the embedded model is counted in the same way as the fake one.

In TRIAL_CALLS, each call of the network that begins and each bookmark of a batch's denoising that was kept: `<process
id> <id of the first job> <call or kept> <calls that were over by then> <seconds>`.
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

if "batchgen.run.worker" in sys.orig_argv and "TRIAL_CALLS" in os.environ:
    import time
    from typing import Any

    import batchgen.diffusion.engine  # noqa: F401 - first of all, as it sets what the libraries go by
    from batchgen.diffusion.bookmarks import Marking
    from batchgen.diffusion.samplers import Stepper
    from batchgen.diffusion.session import Batch

    _calls = os.open(os.environ["TRIAL_CALLS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    _denoise, _model_input, _passed = Batch.denoise, Stepper.model_input, Marking.passed
    _jobs = [""]

    def _say(what: str, calls: int) -> None:
        os.write(_calls, f"{os.getpid()} {_jobs[-1]} {what} {calls} {time.monotonic()}\n".encode())

    def _denoised(self: Batch, *rest: Any, **more: Any) -> Any:
        _jobs[:] = [self.jobs[0].id]
        return _denoise(self, *rest, **more)

    def _called(self: Stepper, latents: Any) -> Any:
        _say("call", self.calls)
        return _model_input(self, latents)

    def _marked(self: Marking, stepper: Stepper, latents: Any) -> None:
        before = self._last
        _passed(self, stepper, latents)
        if self._last != before:
            _say("kept", stepper.calls)

    Batch.denoise = _denoised  # type: ignore[method-assign]  # as above
    Stepper.model_input = _called  # type: ignore[method-assign]  # as above
    Marking.passed = _marked  # type: ignore[method-assign]  # as above
