"""What is imported, and what is not."""

import subprocess
import sys

import pytest

SHAPES = "set: {model: demo_shapes}\nprompts: [a red circle]\nseeds: 0..2\n"


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["plan", "demo"], ["schema"]], ids=" ".join)
def test_help_plan_and_schema_import_no_torch_in_any_process(person, without_torch, words):
    poison, mark = without_torch

    said = person.types(*words, **poison)

    assert said.code == 0, said.err
    assert not mark.exists()


def test_rendering_does_import_torch_so_the_poison_works(person, without_torch):
    poison, mark = without_torch
    person.writes("m.yaml", SHAPES)

    said = person.types("run", "m.yaml", **poison)

    assert said.code == 1
    assert mark.exists()


@pytest.mark.parametrize("heavy", ["pydantic", "hydra", "omegaconf", "numpy", "PIL", "yaml", "tqdm"])
def test_help_loads_nothing_heavy(heavy):
    script = (
        "import sys\nsys.argv = ['batchgen', '--help']\nfrom batchgen.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"sys.exit({heavy!r} in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert done.returncode == 0
