"""A training loop that can be stopped and resumed at any checkpoint.

The randomness of a step depends on its number alone, so a resumed training sees the batches that
an uninterrupted one would have seen.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long to train and how fast."""

    steps: int
    """Optimiser steps in all; the cosine of the learning rate ends there."""

    warmup: int = 50
    """Steps over which the learning rate rises linearly from 0."""

    floor: float = 0.005
    """Last learning rate, as a share of the highest."""

    clip: float = 1.0
    """Largest norm of a gradient."""

    average: float = 0.0
    """Decay of the exponential moving average of the weights; 0 keeps none."""

    save_every: int = 250
    """Steps between checkpoints."""

    def rate(self, step: int) -> float:
        """Return the learning rate of `step`, as a share of the highest."""
        rise = min(1.0, (step + 1) / self.warmup)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))
        return rise * (self.floor + (1 - self.floor) * fall)


def adamw(groups: Iterable[tuple[Iterable[nn.Parameter], float]], decay: float = 0.01) -> torch.optim.AdamW:
    """Return AdamW over (parameters, highest learning rate) groups."""
    options = [{"params": list(parameters), "lr": rate, "peak": rate} for parameters, rate in groups]
    return torch.optim.AdamW(options, betas=(0.9, 0.99), weight_decay=decay)


def generator_of(seed: int, step: int) -> torch.Generator:
    """Return the source of randomness of one step."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


class Fit:
    """Modules, their optimiser and how far they have come."""

    def __init__(self, modules: Mapping[str, nn.Module], optimiser: torch.optim.AdamW, plan: Plan, path: Path) -> None:
        """Resume from the checkpoint at `path` if there is one."""
        self.modules = dict(modules)
        self.optimiser = optimiser
        self.plan = plan
        self.path = path
        self.step = 0
        self.averages = {name: deepcopy(module) for name, module in modules.items() if plan.average}
        if path.exists():
            self._restore(torch.load(path, weights_only=True))

    def run(self, loss_of: Callable[[int], Tensor], saved: Callable[[int], None] | None = None) -> None:
        """Minimise `loss_of(step)` to the end of the plan; call `saved(step)` after each checkpoint."""
        progress = tqdm(total=self.plan.steps, initial=self.step, desc=self.path.stem, mininterval=10)
        recent = 0.0
        while self.step < self.plan.steps:
            loss = self._advance(loss_of)
            recent = loss if not recent else 0.99 * recent + 0.01 * loss
            progress.set_postfix(loss=f"{recent:.4f}", refresh=False)
            progress.update()
            if self.step % self.plan.save_every == 0 or self.step == self.plan.steps:
                self.save()
                if saved is not None:
                    saved(self.step)
        progress.close()

    def _advance(self, loss_of: Callable[[int], Tensor]) -> float:
        """Take one optimiser step and return its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * self.plan.rate(self.step)
        loss = loss_of(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, self.plan.clip)
        self.optimiser.step()
        self.step += 1
        self._average()
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averages towards the weights, faster at the beginning."""
        decay = min(self.plan.average, (1 + self.step) / (10 + self.step))
        for name, average in self.averages.items():
            torch._foreach_lerp_(list(average.parameters()), list(self.modules[name].parameters()), 1 - decay)

    def best(self, name: str) -> nn.Module:
        """Return the averaged module where an average is kept, else the module."""
        return self.averages.get(name, self.modules[name])

    def save(self) -> None:
        """Write the checkpoint; an interruption leaves the previous one whole."""
        state = {
            "step": self.step,
            "optimiser": self.optimiser.state_dict(),
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "averages": {name: module.state_dict() for name, module in self.averages.items()},
        }
        partial = self.path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.path)

    def _restore(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.optimiser.load_state_dict(state["optimiser"])
        for kept, modules in (("modules", self.modules), ("averages", self.averages)):
            for name, module in modules.items():
                module.load_state_dict(state[kept][name])
