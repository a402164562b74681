"""Prompts of any characters, from YAML, JSONL and CSV into records and pictures and back: not one may change.

Each is drawn from what breaks such readers: control characters, quotes, `${}`, what YAML takes for something else,
emoji of several code points, writing from right to left, characters of every plane. Halves of surrogate pairs and NUL
are no text; they must be refused, with the line. A whole `<lora:...>` asks for a file, and is not drawn.
"""

import csv
import io
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

from batchgen import __version__
from batchgen.errors import ManifestError
from batchgen.fake import picture_of
from batchgen.interop.a1111 import write
from batchgen.manifest import read_manifest
from batchgen.plan.expand import Cell, expand
from batchgen.settings import load_settings, parse_words
from batchgen.store.images import encode, look, open_picture
from batchgen.store.layout import RunDirectory
from batchgen.store.record import Asked, Making, build, read, to_text
from trials import Meddle, Row, untouched
from trials.command import FAKE, Shell
from trials.watching import pictures, whole

_PIECES = (
    "a red circle", "(word:1.3)", "[less]", "BREAK", "<hypernet:x:1>", "${oc.env:HOME}", "${a}", "$HOME", "{a|b}", "{{",
    "__w__", "'", '"', "''", '""', "\\", "\\n", "\\u0041", ",", ",,", ";", ":", ": ", " #", "#", "- ", "? ", "!tag",
    "&a", "*a", "|", ">", "%", "@", "`", "~", "null", "no", "true", "1e3", "010", "0x10", "1:30", ".inf", "=", "+a=b",
    "???", "---", "...", "<<", "\n", "\n\n", "\r\n", "\r", "\t", " ", "  ", "\u00a0", "\u0085", "\u2028", "\u2029",
    "\ufeff", "\u200b", "\u200d", "\u202e", "\u2066", "e\u0301", "\u00e9", "☕", "👩‍👩‍👧‍👦", "🏳️‍🌈", "שלום", "مرحبا",
    "日本語", "\x01", "\x07", "\x08", "\x0b", "\x0c", "\x1b[2J", "\x1f", "\x7f", "\x9f", "\ufffe", "\uffff",
    "\U0010ffff", "../../etc", "<script>", "&lt;", "%00", "C:\\x",
)  # fmt: skip

_REFUSED = ("\ud800", "\udfff", "\udc80", "\0")


def fuzzed(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    """Send `count` prompts through; a tenth of them through whole runs, and as many again that must be refused."""
    draw, begun, found = random.Random(seed), time.monotonic(), Counter[str]()
    for name, (suffix, written) in _WRITERS.items():
        texts = [_drawn(draw) for _ in range(-(-count // len(_WRITERS)))]
        file = folder / name / f"prompts{suffix}"
        file.parent.mkdir()
        written(file, texts, draw)
        meddle(RunDirectory(file.parent))
        found["changed by the reader"] += _changed(texts, cells := _cells(file))
        found["changed on the way"] += sum(not _comes_back(each, folder / "one.png") for each in cells)
        found["prompts"] += len(texts)
        some = texts[: max(1, len(texts) // 10)]
        written(file, some, draw)
        found["changed by a run"] += _run(Shell(folder=file.parent), file, some)
        found["through a run"] += len(some)
    for bad in (draw.choice(_REFUSED) for _ in range(max(1, count // 100))):
        found["refused"] += 1
        found["not refused"] += not _refused(folder / "bad.jsonl", f"{_drawn(draw)}{bad}")
    wrong = ("changed by the reader", "changed on the way", "changed by a run", "not refused")
    names = ("prompts", *wrong[:2], "through a run", wrong[2], "refused", wrong[3])
    counts = {name: found[name] for name in names}
    note = f"YAML, JSONL and CSV; {time.monotonic() - begun:.0f} s"
    ok = not any(found[name] for name in wrong)
    return Row(name="fuzzed prompts", tried=found["prompts"] + found["refused"], counts=counts, ok=ok, note=note)


def _drawn(draw: random.Random) -> str:
    """Draw a text that is not blank."""
    pieces = []
    for _ in range(draw.randint(1, 8)):
        kind = draw.random()
        if kind < 0.7:
            pieces.append(draw.choice(_PIECES))
        elif kind < 0.85:
            pieces.append(chr(draw.randrange(1, 0x250)))
        else:
            pieces.append(chr(draw.choice([draw.randrange(0x250, 0xD800), draw.randrange(0xE000, 0x110000)])))
    return draw.choice(["", "", " ", "\t"]) + draw.choice("ax7é☕") + "".join(pieces)


def _yaml(file: Path, texts: list[str], draw: random.Random) -> None:
    """Write each text in a style that YAML's own reader reads back; the escapes of JSON are the last resort."""
    file.write_text(
        "prompts:\n" + "".join(f"- {{prompt: {_scalar(text, draw)}}}\n" for text in texts), encoding="utf-8"
    )


def _scalar(text: str, draw: random.Random) -> str:
    for style in draw.sample(['"', "'", ""], 3):
        for unicode in (True, False):
            written = yaml.safe_dump(text, default_style=style, allow_unicode=unicode, width=10**9)
            written = written.removesuffix("...\n").removesuffix("\n")
            if "\n" not in written and _is_yaml(written, text):
                return written
    return json.dumps(text)


def _is_yaml(written: str, text: str) -> bool:
    # Raw, only what every reader of YAML agrees on.
    if re.search("[^\x20-\x7e\u00a1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]", written):
        return False
    try:
        return bool(yaml.safe_load(f"- {{prompt: {written}}}") == [{"prompt": text}])
    except yaml.YAMLError:
        return False


def _jsonl(file: Path, texts: list[str], draw: random.Random) -> None:
    lines = [json.dumps({"prompt": text}, ensure_ascii=draw.random() < 0.5) + "\n" for text in texts]
    file.write_text("".join(lines), encoding="utf-8")


def _csv(file: Path, texts: list[str], draw: random.Random) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerow(["prompt", "seed"])
    for text in texts:
        dialect = draw.choice(["excel", "unix"])  # quotes where they are needed, and always
        csv.writer(stream, dialect).writerow([text, ""])
    file.write_bytes(stream.getvalue().encode())


_WRITERS: dict[str, tuple[str, Callable[[Path, list[str], random.Random], None]]] = {
    "yaml": (".yaml", _yaml),
    "jsonl": (".jsonl", _jsonl),
    "csv": (".csv", _csv),
}


def _manifest(file: Path) -> Path:
    """Return the manifest that asks for what is in `file`."""
    if file.suffix == ".yaml":
        return file
    manifest = file.with_name("manifest.yaml")
    manifest.write_text(f"prompts: [{{file: {file.name}}}]\n")
    return manifest


def _cells(file: Path) -> tuple[Cell, ...]:
    settings = load_settings(parse_words([FAKE]), cwd=file.parent)
    return expand(read_manifest(_manifest(file)), {}, settings).cells


def _changed(texts: list[str], cells: tuple[Cell, ...]) -> int:
    return abs(len(texts) - len(cells)) + sum(
        text != cell.job.text.prompt for text, cell in zip(texts, cells, strict=False)
    )


def _comes_back(cell: Cell, file: Path) -> bool:
    """Write the picture of `cell` as a worker does, and read it; the reader holds the id against the recipe."""
    job, pixels = cell.job, picture_of(cell.job)
    making = Making(batch=(job.id,), attempt=1, degradations=(), environment={}, manifest=None, started="", seconds=0.0)
    record = to_text(build(Asked(job=job, name=job.text.prompt, note=job.text.prompt), making, 0, {}, look(pixels)))
    file.write_bytes(encode(pixels, record, write(job, version=__version__), 1))
    back = read(open_picture(file).record, str(file))
    return bool(back["recipe"]["prompt"] == back["name"] == back["note"] == job.text.prompt)


def _run(shell: Shell, file: Path, texts: list[str]) -> int:
    """Send all through a real run of the fake engine; return how many texts did not come out of it."""
    directory = RunDirectory(shell.folder / "run")
    words = (FAKE, "steps=1", "output.sheets=false", "runtime.batch=8")
    said = shell.types("run", str(_manifest(file)), *words, "--into", str(directory.root))
    found = set()
    for path in pictures(directory):
        if whole(path):
            record = read(open_picture(path).record, str(path))
            beside = json.loads(directory.record(record["id"]).read_bytes())
            found |= {record["recipe"]["prompt"]} & {beside["recipe"]["prompt"]}
    return len({*texts} ^ found) + (said.code != 0)


def _refused(file: Path, text: str) -> bool:
    """Say whether a text that is none is refused on its line."""
    file.write_text(f'{{"prompt": "a"}}\n{json.dumps({"prompt": text})}\n')
    try:
        _cells(file)
    except ManifestError as error:
        return (error.where or "").endswith(":2")
    return False
