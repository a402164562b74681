"""Words in, lines and an exit code out. One module a command; the only place that prints.

Nothing heavy is imported here or at the top of a command's module, so that `batchgen --help` appears at once: what a
command needs, it imports when it is called.
"""

import sys

import click

from batchgen import __version__
from batchgen.cli.compare import compare
from batchgen.cli.doctor import doctor
from batchgen.cli.export import export
from batchgen.cli.importing import import_
from batchgen.cli.models import models
from batchgen.cli.plan import plan
from batchgen.cli.promote import promote
from batchgen.cli.reject import reject
from batchgen.cli.reproduce import reproduce
from batchgen.cli.run import run
from batchgen.cli.schema import schema
from batchgen.cli.screen import guard_terminal, one_line
from batchgen.cli.show import show
from batchgen.cli.status import status
from batchgen.cli.upscale import upscale
from batchgen.cli.verify import verify
from batchgen.errors import BatchgenError, Interrupted, unknown_name

EPILOG = """\b
exit codes: 0 all asked for is there; 1 some are missing, run again; 2 the words were wrong, nothing rendered;
75 try later (the directory is held, the disk is full); 130 interrupted"""


class _InOrder(click.Group):
    """Lists commands in the order in which people meet them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx  # click asks for it
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; answer a word that is none with the nearest."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            raise click.UsageError(unknown_name("command", args[0], self.commands), ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_InOrder,
    # "color": click would else cut what looks like colours out of prompts that go into a file. For terminals: `screen`.
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "color": True},
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="batchgen")
def app() -> None:
    """Render sweeps of prompts, seeds and samplers with diffusion models, resumably."""


for command in (
    run,
    plan,
    status,
    show,
    compare,
    export,
    upscale,
    promote,
    reject,
    import_,
    reproduce,
    verify,
    models,
    doctor,
    schema,
):
    app.add_command(command)


def main() -> None:
    """Run the command line and leave with its exit code."""
    guard_terminal()
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"batchgen: {one_line(_wrong_word(error))}", err=True)
        code = error.exit_code
    except BatchgenError as error:
        click.echo(f"batchgen: {one_line(error)}", err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = Interrupted.exit_code
    except BrokenPipeError:
        # `batchgen status | head` closed our output: nothing is wrong, and there is nobody left to tell.
        sys.stderr.close()
        code = 0
    sys.exit(code)


def _wrong_word(error: click.ClickException) -> str:
    """Return what click says of a wrong word, and where to read which ones are right."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = f" {context.info_name}" if context and context.parent else ""
    return f"{error.format_message().rstrip('.')}; see `batchgen{command} --help`"
