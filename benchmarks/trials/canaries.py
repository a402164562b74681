"""Secrets in the environment, asked for by every kind of interpolation: no byte of them in anything that is written."""

import base64
import os
import random
import shutil
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from batchgen.store.layout import RunDirectory
from trials import Meddle, Row, untouched, weights
from trials.command import Shell

_NAMES = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "BATCHGEN_SECRET", "DATABASE_URL", "CANARY_FOLDER")


def secrets(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched, engine: tuple[str, ...] = ()) -> Row:
    """Hide `count` secrets, run, compare, make again, and look for them in all that was written and said.

    Args:
        count: How many; there are some at least.
        folder: An empty one.
        seed: Of the secrets.
        meddle: What is done to the run directory before it is searched.
        engine: Words that choose another engine than the embedded model's.
    """
    draw, begun = random.Random(seed), time.monotonic()
    names = [*_NAMES, *(f"CANARY_{number}" for number in range(len(_NAMES), count))]
    hidden = {name: draw.randbytes(16).hex() for name in names}
    shell = Shell(folder=folder / "home", extra=hidden)
    shell.folder.mkdir()
    _prepare(shell.folder, folder / hidden["CANARY_FOLDER"], hidden)
    said = _everything(shell, engine)
    meddle(RunDirectory(shell.folder / "outputs/night"))
    written = [path for path in shell.folder.rglob("*") if path.is_file()]
    ours = [path for path in written if {"outputs", ".cache"} & {*path.relative_to(shell.folder).parts}]
    forms = {form for secret in hidden.values() for form in _forms(secret)}
    leaks = [path.name for path in ours if _holds(path, forms)]
    # Where a model lies is said on the terminal, and nowhere else.
    spoken = {form for name, secret in hidden.items() if name != "CANARY_FOLDER" for form in _forms(secret)}
    loud = sum(any(form in text.encode() for form in spoken) for text in said.values())
    records = len(list((shell.folder / "outputs/night/records").glob("*.json")))
    counts = {"files": len(ours), "bytes": sum(path.stat().st_size for path in ours), "commands": len(said)}
    counts |= {"records": records, "files with a secret": len(leaks), "answers with a secret": loud}
    note = "; ".join([*leaks, f"{time.monotonic() - begun:.0f} s"])
    return Row(name="canaries", tried=len(hidden), counts=counts, ok=records > 0 and not leaks and not loud, note=note)


def _prepare(home: Path, models: Path, hidden: dict[str, str]) -> None:
    """Write a manifest and conf/ that ask for every secret; the models lie in a folder whose name is one."""
    lines = []
    for name in hidden:
        asked = f"${{oc.env:{name}}} ${{env:{name}}} ${{{name}}} ${name} %{name}% `echo ${name}` {{{{{name}}}}}"
        lines.append(
            f"- {{prompt: 'a circle {asked}', name: 'night', note: '${{oc.env:{name}}}', negative_prompt: '{asked}'}}\n"
        )
    lines.append("- {template: 'a {red|blue} circle ${shade}'}\n")
    sweep = "sweep:\n  shade: ['${oc.env:HF_TOKEN}', '${env:HF_TOKEN}']\n"
    text = "set: {model: mine, steps: 1}\nprompts:\n" + "".join(lines) + sweep + "seeds: 0\n"
    (home / "night.yaml").write_text(text)
    weights.copy(models, "mine")
    option = home / "conf/model/mine.yaml"
    option.parent.mkdir(parents=True)
    was = (models / "conf/model/mine.yaml").read_text()
    option.write_text(was.replace(str(models), f"{models.parent}/${{oc.env:CANARY_FOLDER}}"))
    shutil.rmtree(models / "conf")


def _everything(shell: Shell, engine: tuple[str, ...]) -> dict[str, str]:
    """Use every command there is on it, also where it must fail; return what each said."""
    commands = [
        ("plan", "night.yaml"),
        ("run", "night.yaml", "runtime.threads=1"),
        ("run", "outputs/night"),
        ("run", "--prompt", "${oc.env:HF_TOKEN}", "model=${oc.env:HF_TOKEN}"),
        ("run", "--prompt", "${oc.env:HF_TOKEN}", "model=mine", "steps=1", "negative_prompt='${oc.env:HF_TOKEN}'"),
        ("run", "--prompt", "a", "model=mine", "steps=${oc.env:HF_TOKEN}"),
        ("status", "outputs/night"),
        ("verify", "outputs/night"),
        ("reproduce", "outputs/night", "runtime.threads=1"),
    ]
    if not engine:
        commands.append(("doctor",))  # it looks at torch, which takes seconds
    found = {}
    for words in commands:
        said = shell.types(*words, *(engine if words[0] in ("plan", "run", "reproduce") else ()))
        found[" ".join(words)] = said.out + said.err
    for path in sorted((shell.folder / "outputs/night/pictures").glob("*.png"))[:1]:
        said = shell.types("show", str(path))
        found["show"] = said.out + said.err
    return found


def _forms(secret: str) -> Iterator[bytes]:
    """The secret as it may be hidden from a plain search."""
    yield secret.encode()
    yield secret.upper().encode()
    yield secret[::-1].encode()
    yield secret.encode("utf-16-le")
    yield base64.b64encode(secret.encode()).rstrip(b"=")[:-1]
    yield urllib.parse.quote(secret.encode().hex()).encode()


def _holds(path: Path, forms: set[bytes]) -> bool:
    data = path.read_bytes() + os.fsencode(path.name)
    if path.suffix == ".png":
        with Image.open(path) as image:
            data += repr(image.info).encode()
    return any(form in data for form in forms)
