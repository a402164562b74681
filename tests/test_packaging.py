"""The wheel: what is in it, and that an installed batchgen finds its own conf, manifests and model from any folder."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import batchgen

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A wheel built from the checkout and unpacked, as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*words, "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("folder", ["conf", "manifests"])
def test_the_wheel_carries_the_folder_of_the_checkout_file_for_file(installed, folder):
    assert files_of(installed / "batchgen" / folder) == files_of(ROOT / folder)


def test_an_installed_batchgen_renders_the_demo_from_any_folder(installed, tmp_path):
    script = (
        f"import sys\nsys.path[:0] = [{str(installed)!r}]\nimport batchgen\n"
        f"assert batchgen.__file__.startswith({str(installed)!r}), batchgen.__file__\n"
        "from batchgen.cli import main\nmain()\n"
    )
    words = ["run", "demo", "runtime.engine=fake", "steps=2", "sampler=euler", "--limit", "1"]
    environment = {"PYTHONPATH": str(installed), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode in (0, 1), done.stderr
    assert len(list((tmp_path / "outputs/demo/pictures").glob("*.png"))) == 1


def test_the_version_stands_in_two_places_and_is_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["version"] == batchgen.__version__


def test_every_direct_dependency_is_pinned_and_has_its_sentence():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["upscale"]]
    names = {requirement.split(">")[0].split("=")[0].split("<")[0].strip().lower() for requirement in wanted}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower() for line in lines if "==" in line}
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8").lower()

    assert names == pinned
    assert not [name for name in names if name not in page and not name.startswith("types-")]
