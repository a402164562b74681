"""A training in stages, each of which can be asked for alone, and goes on where it stopped."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a training keeps what it has so far."""

    out: Path
    """The model folder."""

    work: Path
    """Checkpoints and finished parts."""

    steps: int | None = None
    """Steps of a stage, instead of its own number."""


Shop = TypeVar("Shop", bound=Place)


def work_through(
    stages: Mapping[str, Callable[[Shop], None]],
    shop_of: Callable[..., Shop],
    *,
    module: str,
    what: str,
    arguments: Sequence[str] | None,
) -> None:
    """Run the stages that a command line asks for, in their order; all of them if it asks for none.

    Args:
        stages: By name.
        shop_of: Makes what they work in, from the values of a `Place`.
        module: What is run by `python -m`.
        what: What is trained.
        arguments: Of the command line; None takes the program's own.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=f"Train {what}.")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--work", type=Path, help="where checkpoints are kept (OUT.training)")
    parser.add_argument("--stage", choices=stages, action="append", help="only this; may be repeated")
    parser.add_argument("--steps", type=int, help="steps of the stage, instead of its own number")
    parser.add_argument("--threads", type=int, default=1, help="more than the free cores is far slower")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    work = options.work or options.out.with_name(options.out.name + ".training")
    work.mkdir(parents=True, exist_ok=True)
    shop = shop_of(out=options.out, work=work, steps=options.steps)
    for stage in options.stage or stages:
        stages[stage](shop)
