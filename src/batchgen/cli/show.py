"""`batchgen show FILE`: the record inside a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


@click.command(short_help="Print the record inside a picture.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--parameters", is_flag=True, help="The text that Stable Diffusion web UIs read, instead of the record.")
@click.option("--comfyui", is_flag=True, help="The API graph with which ComfyUI makes it, instead of the record.")
def show(file: Path, parameters: bool, comfyui: bool) -> int:
    """Print the record inside a picture or clip: recipe, environment, and what happened.

    \b
    batchgen show outputs/demo/pictures/a-red-circle_euler_s0_1f2e3d4c.png
    batchgen show outputs/demo_motion/clips/a-red-circle-moving-right_s0_5b6a7c8d.mp4
    batchgen show outputs/demo/records/1f2e3d4c5b6a.json
    """
    import json

    from batchgen.errors import StoreError, UsageError
    from batchgen.store import images, media, record
    from batchgen.store.content import content

    if not file.is_file():
        raise UsageError("no such file", where=str(file))
    if parameters:
        if file.suffix != ".png":
            raise UsageError("only a PNG holds a parameters text", where=str(file))
        click.echo(images.open_picture(file).parameters)
        return 0
    try:
        if file.suffix == ".json":
            found = record.read(content(file, record.LARGEST), str(file))
        else:
            found = media.record_in(file)
    except StoreError as error:
        raise UsageError(error.message, where=error.where) from error
    except OSError as error:
        raise UsageError(error.strerror or str(error), where=str(file)) from error
    if comfyui:
        found = _graph(found, str(file))
    click.echo(json.dumps(dict(found), indent=2, ensure_ascii=False))
    return 0


def _graph(record: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    from batchgen.interop.comfyui_writing import comfyui_graph
    from batchgen.interop.own import read_record

    model = record.get("model")
    return comfyui_graph(read_record(record, where), flux=isinstance(model, dict) and model.get("family") == "flux")
