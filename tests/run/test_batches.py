import pytest

from batchgen.engine import Runtime
from batchgen.parts import Canvas
from batchgen.run.batches import batch_of, choose_batch, kept_batch
from batchgen.store.held import hold


def canvas(side):
    return Canvas(width=side, height=side)


@pytest.mark.parametrize(
    ("device", "side", "expected"),
    [
        ("cuda", 64, 32),
        ("cuda", 512, 16),
        ("cuda", 1024, 4),
        ("cuda", 2048, 1),
        ("cuda", 4096, 1),
        ("cpu", 64, 8),
        ("cpu", 128, 8),
        ("cpu", 256, 2),
        ("cpu", 512, 1),
        ("mps", 1024, 1),
    ],
)
def test_large_pictures_make_small_batches(device, side, expected):
    assert batch_of(Runtime(device=device), canvas(side)) == expected


@pytest.mark.parametrize(("device", "side", "frames", "expected"), [("cuda", 480, 49, 1), ("cpu", 48, 9, 6)])
def test_a_clip_counts_with_all_its_frames(device, side, frames, expected):
    assert batch_of(Runtime(device=device), canvas(side), frames) == expected
    assert choose_batch(Runtime(device=device), [canvas(side)], frames=frames) == expected


def test_what_is_asked_for_is_obeyed():
    assert batch_of(Runtime(device="cpu", batch=5), canvas(2048)) == 5


@pytest.mark.parametrize("memory", ["offload", "sequential"])
def test_who_is_short_of_memory_gets_one_at_a_time(memory):
    assert batch_of(Runtime(device="cuda", memory=memory), canvas(64)) == 1


def test_the_fake_engine_batches_as_a_cpu_does_wherever_it_runs():
    assert batch_of(Runtime(engine="fake"), canvas(64)) == 8


def test_the_largest_picture_decides_for_the_run():
    assert choose_batch(Runtime(device="cuda"), [canvas(512), canvas(1024), canvas(64)]) == 4
    assert choose_batch(Runtime(device="cuda"), []) == 1


def test_what_was_chosen_when_the_run_began_stays(directory):
    with hold(directory) as held:
        held.save(manifest=None, settings=None, plan={"batch": choose_batch(Runtime(device="cpu"), [canvas(64)])})

    assert choose_batch(Runtime(device="cuda"), [canvas(64)], kept_batch(directory)) == 8


def test_a_number_asked_for_later_wins_over_what_was_chosen():
    assert choose_batch(Runtime(batch=3), [canvas(64)], 8) == 3


@pytest.mark.parametrize("text", ["", "{}", "[]", "3", '{"batch": "8"}', '{"batch": 0}', '{"batch": null}'])
def test_a_damaged_plan_keeps_nothing(directory, text):
    directory.create()
    directory.plan.write_text(text)

    assert kept_batch(directory) is None
