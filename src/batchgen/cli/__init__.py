"""Words in, lines and an exit code out. One module a command; the only place that prints.

Nothing heavy is imported here or at the top of a command's module, so that `batchgen --help` appears at once: what a
command needs, it imports when it is called.
"""

import sys

import click

from batchgen import __version__
from batchgen.cli.doctor import doctor
from batchgen.cli.plan import plan
from batchgen.cli.reproduce import reproduce
from batchgen.cli.run import run
from batchgen.cli.schema import schema
from batchgen.cli.show import show
from batchgen.cli.status import status
from batchgen.cli.verify import verify
from batchgen.errors import BatchgenError, Interrupted

EPILOG = """\b
exit codes: 0 all asked for is there; 1 some are missing, run again; 2 the words were wrong, nothing rendered;
75 try later (the directory is held, the disk is full); 130 interrupted"""


class _InOrder(click.Group):
    """Lists commands in the order in which people meet them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="batchgen")
def app() -> None:
    """Render sweeps of prompts, seeds and samplers with diffusion models, resumably."""


for command in (run, plan, status, show, reproduce, verify, doctor, schema):
    app.add_command(command)


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BatchgenError as error:
        click.echo(f"batchgen: {error}", err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = Interrupted.exit_code
    except BrokenPipeError:
        # `batchgen status | head` closed our output: nothing is wrong, and there is nobody left to tell.
        sys.stderr.close()
        code = 0
    sys.exit(code)
