"""`batchgen schema`: the JSON Schema of a manifest."""

import click


@click.command(short_help="Print the JSON Schema of manifests.")
def schema() -> int:
    """Print the JSON Schema of manifests, with which editors complete and check them.

    \b
    batchgen schema > manifest.schema.json
    # then, as the first line of a manifest, for editors with a YAML language server:
    # yaml-language-server: $schema=manifest.schema.json
    """
    import json

    from batchgen.manifest import schema as manifest_schema

    click.echo(json.dumps(manifest_schema(), indent=2, ensure_ascii=False))
    return 0
