"""`batchgen show FILE`: the record inside a picture."""

from pathlib import Path

import click


@click.command(short_help="Print the record inside a picture.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--parameters", is_flag=True, help="The text that Stable Diffusion web UIs read, instead of the record.")
def show(file: Path, parameters: bool) -> int:
    """Print the record inside a picture: recipe, environment, and what happened.

    \b
    batchgen show outputs/demo/pictures/a-red-circle_euler_s0_1f2e3d4c.png
    batchgen show outputs/demo/records/1f2e3d4c5b6a.json
    """
    import json

    from batchgen.errors import StoreError, UsageError
    from batchgen.store import images, record

    if not file.is_file():
        raise UsageError("no such file", where=str(file))
    if parameters:
        if file.suffix != ".png":
            raise UsageError("only a PNG holds a parameters text", where=str(file))
        click.echo(images.open_picture(file).parameters)
        return 0
    try:
        found = record.read(file.read_bytes(), str(file)) if file.suffix == ".json" else images.record_in(file)
    except StoreError as error:
        raise UsageError(error.message, where=error.where) from error
    click.echo(json.dumps(dict(found), indent=2, ensure_ascii=False))
    return 0
