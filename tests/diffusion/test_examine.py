import json
import subprocess

import torch

from batchgen.preflight.machine import EXAMINE


def test_the_last_line_is_what_a_run_would_find():
    done = subprocess.run(EXAMINE, capture_output=True, text=True, check=True)

    found = json.loads(done.stdout.splitlines()[-1])
    assert found["libraries"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert len(found["gpus"]) == torch.cuda.device_count()
    assert found["mps"] == torch.backends.mps.is_available()
