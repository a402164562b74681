import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from batchgen.diffusion.spandrel_import import normalize, rotate
from batchgen.errors import ModelError

needs_spandrel = pytest.mark.skipif(find_spec("spandrel") is None, reason="the extra `upscale` is not installed")
without_torchvision = pytest.mark.skipif(find_spec("torchvision") is not None, reason="a torchvision is installed")


def said_by(code):
    """Run code in a process of its own, where nothing has been imported yet."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@needs_spandrel
@without_torchvision
def test_spandrel_is_imported_without_torchvision_and_no_stand_in_stays_behind():
    said = said_by(
        "import sys; from importlib.util import find_spec\n"
        "from batchgen.diffusion.spandrel_import import import_spandrel\n"
        "spandrel = import_spandrel()\n"
        "print(spandrel.ModelLoader.__name__, find_spec('torchvision'))\n"
        "print([name for name in sys.modules if name.startswith('torchvision')])\n"
    )

    assert said == ["ModelLoader", "None", "[]"]


@needs_spandrel
@without_torchvision
def test_the_stand_in_serves_what_spandrel_takes_from_torchvision():
    said = said_by(
        "from batchgen.diffusion.spandrel_import import import_spandrel\n"
        "import_spandrel()\n"
        "import spandrel.architectures.RestoreFormer as r, spandrel.architectures.LaMa.__arch.LaMa as l\n"
        "print(r.tv_normalize.__module__, l.rotate.__module__, l.InterpolationMode.BILINEAR.name)\n"
    )

    assert said == [normalize.__module__, rotate.__module__, "BILINEAR"]


@needs_spandrel
def test_an_installed_torchvision_is_used_itself(tmp_path):
    package = tmp_path / "torchvision" / "transforms"
    package.mkdir(parents=True)
    (tmp_path / "torchvision" / "__init__.py").write_text("", encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    names = "class InterpolationMode: pass\ndef rotate(): pass\ndef normalize(): pass\n"
    (package / "functional.py").write_text(names, encoding="utf-8")

    said = said_by(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from batchgen.diffusion.spandrel_import import import_spandrel\n"
        "import_spandrel()\n"
        "import spandrel.architectures.RestoreFormer as r, torchvision\n"
        "print(r.tv_normalize.__module__, torchvision.__file__)\n"
    )

    assert said == ["torchvision.transforms.functional", str(tmp_path / "torchvision" / "__init__.py")]


def test_without_spandrel_a_line_says_how_to_get_it():
    said = said_by(
        "import sys; sys.modules['spandrel'] = None\n"
        "from batchgen.diffusion.spandrel_import import import_spandrel\n"
        "from batchgen.errors import ModelError\n"
        "try:\n    import_spandrel()\n"
        "except ModelError as error:\n    print(str(error))\n"
        "print('torchvision' in sys.modules)\n"
    )

    assert "batchgen[upscale]" in " ".join(said)
    assert said[-1] == "False"


def test_the_stand_in_normalises_each_channel():
    pictures = torch.arange(12.0).reshape(1, 3, 2, 2)

    answer = normalize(pictures, [0.0, 4.0, 8.0], [1.0, 2.0, 4.0])

    assert answer.flatten().tolist() == [0, 1, 2, 3, 0, 0.5, 1, 1.5, 0, 0.25, 0.5, 0.75]


def test_the_stand_in_refuses_to_rotate():
    with pytest.raises(ModelError, match="torchvision must be installed"):
        rotate(torch.zeros(1, 3, 4, 4), 30.0)
