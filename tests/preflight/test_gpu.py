import pytest

from batchgen.preflight.gpu import Gpu, gpus, hottest

MIB = 1 << 20


@pytest.fixture
def driver(nvidia_smi, monkeypatch):
    monkeypatch.setenv("PATH", nvidia_smi.path)
    return nvidia_smi


@pytest.fixture
def amd(tmp_path):
    """Two cards as Linux lists them, one of which sleeps."""
    for name, text in (("card0", "51000\n"), ("card1", "64500\n"), ("card2", "")):
        folder = tmp_path / "drm" / name / "device/hwmon/hwmon3"
        folder.mkdir(parents=True)
        (folder / "temp1_input").write_text(text)
    return tmp_path / "drm"


def test_each_gpu_has_a_name_its_memory_and_a_temperature(driver):
    driver.says("24576, 20000, 43, NVIDIA GeForce RTX 4090", "81559, 81000, 31, NVIDIA H100, 80GB")

    assert gpus() == (
        Gpu(name="NVIDIA GeForce RTX 4090", total=24576 * MIB, free=20000 * MIB, temperature=43),
        Gpu(name="NVIDIA H100, 80GB", total=81559 * MIB, free=81000 * MIB, temperature=31),
    )
    asked = (driver.folder / "asked").read_text().strip()
    assert asked == "--query-gpu=memory.total,memory.free,temperature.gpu,name --format=csv,noheader,nounits"


def test_what_the_driver_does_not_know_is_none(driver):
    driver.says("[N/A], [Not Supported], [N/A], NVIDIA GB10")

    assert gpus() == (Gpu(name="NVIDIA GB10", total=None, free=None, temperature=None),)
    assert hottest(driver.folder) is None


def test_without_a_driver_there_are_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert gpus() == ()
    assert hottest(tmp_path) is None


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 9\n", "#!/nowhere/at-all\n", "#!/bin/sh\nprintf '\\377,1,2,3'\n"])
def test_a_driver_that_fails_is_none(driver, program):
    (driver.folder / "nvidia-smi").write_text(program)

    assert gpus() == ()


def test_what_is_no_answer_is_passed_over(driver):
    driver.says("NVIDIA-SMI has failed because it could not communicate with the driver", "")

    assert gpus() == ()


def test_the_hottest_of_several_counts(driver):
    driver.says("1, 1, 43, a", "1, 1, 71, b", "1, 1, [N/A], c")

    assert hottest() == 71


def test_where_nvidias_driver_says_nothing_linux_is_asked(monkeypatch, tmp_path, amd):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert hottest(amd) == 64


def test_graphics_inside_the_processor_count_for_nothing_beside_a_gpu(driver, amd):
    assert hottest(amd) == 43
