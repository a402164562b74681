"""What README and docs say is run, on the fake engine where pictures do not matter."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from batchgen.cli import app
from batchgen.manifest import read_manifest
from batchgen.sampling.names import EVERY_SAMPLER, SCHEDULES

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: Path) -> list[str]:
    """Every `$ batchgen ...` line of a page's console blocks, comments cut off."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line[2:].split(" #")[0].strip() for line in lines if line.startswith("$ batchgen")]


def types(line: str, folder: Path, *more: str) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "batchgen", *shlex.split(line)[1:], *more]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_of_the_repository_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))

    missing = [link for link in links if not (page.parent / link).exists()]

    assert not missing


def test_readmes_manifest_asks_for_as_many_pictures_as_readme_says(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (manifest,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "first.yaml").write_text(manifest, encoding="utf-8")

    first = types("batchgen run first.yaml", tmp_path, "runtime.engine=fake")
    again = types("batchgen run first.yaml", tmp_path, "runtime.engine=fake")

    assert first.returncode == 0, first.stderr
    said = re.sub(r"in \d+ s", "in 6 s", first.stdout.splitlines()[0])
    assert said in text
    assert all(line in text for line in first.stdout.splitlines()[1:])
    assert again.stdout.splitlines()[0] in text


@pytest.mark.parametrize("line", commands(ROOT / "docs" / "commands.md"))
def test_every_command_of_the_command_page_works_as_printed(line, tmp_path):
    fake = ["runtime.engine=fake"] if line.split()[1] in ("run", "plan", "reproduce", "upscale") else []
    types("batchgen run demo runtime.engine=fake steps=2 sampler=euler --limit 2", tmp_path)
    record = next((tmp_path / "outputs/demo/records").glob("*.json"))
    picture = next((tmp_path / "outputs/demo/pictures").glob("*.png"))
    marked = {json.loads(record.read_bytes())["id"][:16]: {"verdict": "keep", "stars": 5}}
    marks = {"batchgen": "marks", "format": 1, "run": "demo", "marks": marked}
    (tmp_path / "marks.json").write_text(json.dumps(marks))
    line = line.replace("outputs/demo/records/1f2e3d4c5b6a.json", str(record)).replace("/tmp/look", str(tmp_path / "l"))
    line = line.replace("outputs/demo/pictures/NAME.png", shlex.quote(str(picture)))

    line = line.replace("--pick NAME.png", f"--pick {shlex.quote(picture.name)}")

    done = types(line, tmp_path, *fake)

    assert done.returncode in (0, 1), done.stderr
    # The fake engine's pictures are of a model that is nowhere, which an import says.
    assert "batchgen:" not in done.stderr or line.split()[1] == "import"


def test_the_manifest_of_the_manifest_page_can_be_planned(tmp_path):
    text = (ROOT / "docs/manifest.md").read_text(encoding="utf-8")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/shapes.txt").write_text("a red heart\n", encoding="utf-8")
    (tmp_path / "page.yaml").write_text(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0], encoding="utf-8")

    done = types("batchgen plan page.yaml", tmp_path)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("manifest", sorted((ROOT / "manifests").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_manifest_that_ships_reads_and_plans(manifest, tmp_path):
    assert read_manifest(manifest).prompts

    # Weights that do not ship are nowhere here; the manifest itself says neither size nor steps.
    here = ["model=demo_motion"] if manifest.stem == "cogvideox_prompts" else []
    done = types(f"batchgen plan {shlex.quote(str(manifest))}", tmp_path, *here)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(app.commands))
def test_every_command_has_help_and_an_example_in_the_docs(name):
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")

    assert app.commands[name].help
    assert f"$ batchgen {name}" in page


def test_the_sampler_page_lists_every_sampler_and_schedule_as_the_code_knows_them():
    page = (ROOT / "docs/samplers.md").read_text(encoding="utf-8")

    for sampler in EVERY_SAMPLER.values():
        calls = sampler.evaluations_per_step
        row = f"| `{sampler.name}` | {sampler.description} | {calls} | `{sampler.default_schedule}` |"
        assert row in page
    assert all(f"| `{schedule}` |" in page for schedule in SCHEDULES)


@pytest.mark.parametrize("name", sorted(app.commands))
def test_the_help_of_a_command_shows_its_examples_line_by_line(name, tmp_path):
    said = types(f"batchgen {name} --help", tmp_path).stdout

    assert "\\b" not in said
    assert f"\n  batchgen {name}" in said
