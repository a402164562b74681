"""`batchgen models`: which models are on this machine; `batchgen models pull`: fetch what one needs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from batchgen.models.digest import DigestCache
    from batchgen.models.inventory import Known
    from batchgen.settings import Settings

_KINDS = ("checkpoint", "diffusion_model", "text_encoder", "lora", "vae", "upscaler", "embedding")


class _Listing(click.Group):
    """A group whose first word may be left out: `batchgen models lora` is `batchgen models list lora`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not (args and (args[0] in self.commands or args[0] in ("-h", "--help"))):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Listing, short_help="List the models on this machine, or fetch one.")
def models() -> None:
    """List the models on this machine, or fetch what one needs while there is a network.

    \b
    batchgen models
    batchgen models lora paths.models=[~/ComfyUI/models]
    batchgen models checkpoint --hash
    batchgen models pull sdxl
    """


@models.command("list", short_help="List what lies in the models folders.")
@click.argument("words", nargs=-1, metavar=f"[{'|'.join(_KINDS)}] [KEY=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.option("--hash", "hashed", is_flag=True, help="Read every file to give its SHA-256; else those known are given.")
def list_(words: tuple[str, ...], as_json: bool, hashed: bool) -> int:
    """List the models in the folders of paths.models, what each is, and what is wrong with it.

    Nothing is loaded: a model is told by the names and shapes in its header.
    """
    import json

    from batchgen.models.digest import DigestCache
    from batchgen.models.inventory import look_at
    from batchgen.models.shelf import Shelf

    kinds = [word for word in words if "=" not in word]
    settings = _settings([word for word in words if "=" in word])
    shelf, cache = Shelf(settings.paths.models), DigestCache(settings.paths.cache / "digests.json")
    found = {kind: [look_at(entry) for entry in shelf.all(kind)] for kind in _checked(kinds)}
    rows = {kind: [_facts(known, cache, hashed=hashed) for known in each] for kind, each in found.items()}
    cache.save()
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        click.echo(_table(rows, settings.paths.models))
    return 0


@models.command(short_help="Fetch what an option of conf/model/ needs.")
@click.argument("name")
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--tokenizers", is_flag=True, help="Only the vocabularies, which no single-file checkpoint holds.")
def pull(name: str, words: tuple[str, ...], tokenizers: bool) -> int:
    """Fetch the files that conf/model/NAME.yaml names, into the Hugging Face cache; exit 75 without a network."""
    from batchgen.models.families import FAMILIES
    from batchgen.models.find import find
    from batchgen.models.pull import from_hub, wanted
    from batchgen.models.pull import pull as fetch

    settings = _settings(words)
    conf = settings.model(name)
    base = settings.model(FAMILIES[conf.family].tokenizers)
    wishes = wanted(conf, base, tokenizers_only=tokenizers)
    for each, place in zip(wishes, fetch(wishes, from_hub), strict=True):
        click.echo(f"{each.hub} (revision {each.revision}): {place}")
    if not tokenizers:
        click.echo(f"model {name} is here: {find(conf.source, settings.paths.models, name=name, where=conf.where)}")
    return 0


def _settings(words: Sequence[str]) -> "Settings":
    from batchgen.errors import UsageError
    from batchgen.settings import load_settings, parse_words

    read = parse_words(words)
    if read.fields:
        raise UsageError("models takes settings only, such as paths.models=[FOLDER]", where=next(iter(read.fields)))
    return load_settings(read, cwd=Path.cwd())


def _checked(kinds: Sequence[str]) -> Sequence[str]:
    from batchgen.errors import UsageError, unknown_name

    for kind in kinds:
        if kind not in _KINDS:
            raise UsageError(unknown_name("kind", kind, _KINDS))
    return kinds or _KINDS


def _facts(known: "Known", cache: "DigestCache", *, hashed: bool) -> dict[str, Any]:
    entry, what = known.entry, known.what
    return {
        "name": entry.name,
        "path": str(entry.path),
        "family": what.family,
        "variant": what.variant or None,
        "size": known.size,
        "dtype": what.dtype or None,
        "parameters": what.parameters or None,
        "sha256": _digest(entry.path, cache, hashed=hashed) if entry.path.is_file() else None,
        "broken": known.broken or None,
        "triggers": list(known.triggers),
    }


def _digest(path: Path, cache: "DigestCache", *, hashed: bool) -> str | None:
    from tqdm import tqdm

    if not hashed:
        return cache.known(path)
    with tqdm(unit="B", unit_scale=True, desc=path.name, disable=not sys.stderr.isatty(), leave=False) as bar:

        def on_hash(_: Path, done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        return cache.sha256(path, on_hash)


def _table(rows: dict[str, list[dict[str, Any]]], folders: Sequence[Path]) -> str:
    """Return a block of aligned lines for each kind that there is something of; what is to be said of one is below."""
    from batchgen.cli.asking import printable

    cells = {kind: [_cells(row) for row in each] for kind, each in rows.items() if each}
    if not cells:
        looked = ", ".join(str(folder) for folder in folders)
        return f"no models in {looked}; say where yours are: paths.models=[~/ComfyUI/models], or in conf/job.yaml"
    headings = {kind: (kind.replace("_", " "), "family", "size", "dtype", "sha256") for kind in cells}
    every = [line for kind, each in cells.items() for line in (headings[kind], *each)]
    widths = [max(len(line[column]) for line in every) for column in range(5)]
    blocks = []
    for kind, each in cells.items():
        lines = [_line(headings[kind], widths)]
        for line, row in zip(each, rows[kind], strict=True):
            lines.append(_line(line, widths))
            if row["broken"]:
                lines.append(f"  {row['broken']}")
            if row["triggers"]:
                lines.append(f"  trained with: {printable(', '.join(row['triggers']))}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    from batchgen.cli.asking import printable
    from batchgen.models.families import FAMILIES
    from batchgen.preflight.finding import size

    title = FAMILIES[row["family"]].title if row["family"] else "-"
    family = f"{title}, {row['variant']}" if row["variant"] else title
    digest = (row["sha256"] or "-")[:12]
    return printable(row["name"]), "broken" if row["broken"] else family, size(row["size"]), row["dtype"] or "-", digest


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, family, amount, dtype, digest = cells
    whole = f"{name:<{widths[0]}}  {family:<{widths[1]}}  {amount:>{widths[2]}}  {dtype:<{widths[3]}}  {digest}"
    return whole.rstrip()
