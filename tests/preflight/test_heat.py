import pytest

from batchgen.engine import Runtime
from batchgen.errors import ConfError
from batchgen.preflight.heat import SECONDS_BETWEEN_LOOKS, Heat, heat
from batchgen.preflight.machine import temperature


class Night:
    """A GPU with a temperature, and a clock."""

    def __init__(self, degrees):
        self.degrees, self.now, self.looks = degrees, 0.0, 0

    def read(self):
        self.looks += 1
        return self.degrees

    def clock(self):
        return self.now

    def later(self, degrees):
        self.now += SECONDS_BETWEEN_LOOKS
        self.degrees = degrees


def test_above_the_limit_nothing_begins_until_it_is_five_degrees_below():
    night = Night(80)
    watched = Heat(80, night.read, night.clock)
    said = []

    for degrees in (80, 81, 80, 76, 75, 80, 81):
        night.later(degrees)
        said.append(watched())

    waiting = [f"GPU at {degrees} degrees, limit 80" for degrees in (81, 80, 76)]
    assert said == [None, *waiting, None, None, "GPU at 81 degrees, limit 80"]


def test_it_looks_no_more_often_than_every_few_seconds():
    night = Night(86)
    watched = Heat(80, night.read, night.clock)

    assert {watched() for _ in range(100)} == {"GPU at 86 degrees, limit 80"}
    assert night.looks == 1
    night.degrees, night.now = 50, SECONDS_BETWEEN_LOOKS - 0.1
    assert watched() is not None
    night.now += 0.1
    assert watched() is None
    assert night.looks == 2


def test_a_thermometer_that_fails_in_the_night_stops_nothing():
    night = Night(90)
    watched = Heat(80, night.read, night.clock)
    assert watched()

    night.later(None)

    assert watched() is None


def test_a_limit_that_cannot_be_held_is_refused():
    with pytest.raises(ConfError, match=r"runtime\.max_gpu_temperature=80: no temperature of a GPU can be read here"):
        heat(Runtime(max_gpu_temperature=80), lambda: None)


def test_where_nobody_sets_a_limit_nobody_looks():
    night = Night(99)

    assert heat(Runtime(), night.read) is None
    assert night.looks == 0


@pytest.mark.parametrize(
    ("degrees", "state", "says"),
    [(43, "ok", "below"), (86, "warning", "GPU at 86 degrees, limit 80"), ("[N/A]", "wrong", "no temperature")],
)
def test_doctor_looks_at_a_limit_that_is_set(nvidia_smi, monkeypatch, degrees, state, says):
    monkeypatch.setenv("PATH", nvidia_smi.path)
    nvidia_smi.says(f"1, 1, {degrees}, a GPU")

    (found,) = temperature(Runtime(max_gpu_temperature=80))

    assert found.state == state
    assert says in found.says
    assert list(temperature(Runtime())) == []
