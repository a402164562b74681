import threading

import numpy as np
import pytest

from batchgen.run import encoding
from batchgen.run.encoding import THREADS, Encoders, Finishing
from batchgen.store.record import Asked, Making


def picture(a, seed, together):
    making = Making(batch=together, attempt=1, degradations=(), environment={}, manifest=None, started="", seconds=0.0)
    job = a.cell(seed).job
    return Finishing(
        number=0, index=0, asked=Asked(job=job), making=making, pixels=np.zeros((8, 8, 3), np.uint8), facts={}
    )


@pytest.mark.parametrize("batch", [1, THREADS + 3])
def test_no_more_is_in_hand_than_a_batch_or_a_picture_a_thread(a, tmp_path, monkeypatch, batch):
    """What waits for the disk would have to be made again if the process died."""
    let_go, taken = threading.Event(), threading.Semaphore(0)
    monkeypatch.setattr(encoding, "look", lambda _: let_go.wait())
    encoders, most = Encoders(tmp_path, 1, lambda _: None), max(THREADS, batch)

    def hand_over():
        for seed in range(most + 1):
            encoders.take(picture(a, seed, ("0" * 64,) * batch))
            taken.release()

    giving = threading.Thread(target=hand_over)
    giving.start()
    try:
        assert all(taken.acquire(timeout=60) for _ in range(most))
        assert not taken.acquire(timeout=0.2)
    finally:
        let_go.set()
        giving.join()
        encoders.close()
    assert taken.acquire(timeout=0)
