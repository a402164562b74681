"""Clips at full size without anybody's weights: CogVideoX-2B and 5B as their configurations have them, at random.

    .venv/bin/python benchmarks/clips.py [--model tiny|2b|5b ...] [--memory full ...] [--steps 50] [--folder DIR]

Prints, for each way of holding a model in memory, seconds a step and a clip, the highest memory, and whether a clip
that was interrupted half way is equal to one that was not. `tiny` is the embedded demo_motion and needs no GPU; the
others write 15 and 21 GB into `--folder`. A forward pass of 5B over 49 frames of 720x480 is 332 TFLOP, and guidance
takes two: their share of what `--peak` says the card can do stands in the table.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel
from transformers import T5Config, T5EncoderModel

from batchgen.diffusion.engine import DiffusionEngine
from batchgen.engine import FORGETFUL, Bookmark, Rendered, Runtime
from batchgen.job import Job, Model, make_job
from batchgen.shipped import shipped_model

MODES: Final = ("full", "encode_first", "offload", "sequential")

FORWARD: Final = {"5b": 332e12}
"""Floating point operations of one forward pass: 49 frames of 720x480, 226 tokens of text."""

_READER: Final = {
    "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64, "vocab_size": 32128,
    "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new", "tie_word_embeddings": False,
}  # fmt: skip
_TRANSFORMER: Final = {
    "2b": {"num_attention_heads": 30, "num_layers": 30},
    "5b": {"num_attention_heads": 48, "num_layers": 42, "use_rotary_positional_embeddings": True},
}
_VAE: Final = {"sample_height": 480, "sample_width": 720, "block_out_channels": (128, 256, 256, 512)}
_SCHEDULER: Final = {
    "_class_name": "CogVideoXDDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True,
    "snr_shift_scale": 1.0, "timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False,
}  # fmt: skip


@dataclass
class Memory:
    """Bookmarks in memory: of every whole step, the last one."""

    kept: dict[str, Bookmark] = field(default_factory=dict)

    def find(self, jobs: Sequence[Job]) -> Bookmark | None:
        return self.kept.get(jobs[0].id)

    def keep(self, jobs: Sequence[Job], bookmark: Bookmark) -> None:
        self.kept[jobs[0].id] = bookmark

    def forget(self, jobs: Sequence[Job]) -> None:
        self.kept.pop(jobs[0].id, None)


class Interruption(Exception):
    """What ends a clip half way."""


def write_model(name: str, folder: Path) -> Model:
    """Write a diffusers folder of random weights; what reads its prompts knows letters alone."""
    parts = {
        "tokenizer": ["transformers", "T5Tokenizer"], "text_encoder": ["transformers", "T5EncoderModel"],
        "transformer": ["diffusers", "CogVideoXTransformer3DModel"], "vae": ["diffusers", "AutoencoderKLCogVideoX"],
        "scheduler": ["diffusers", "CogVideoXDDIMScheduler"],
    }  # fmt: skip
    kinds: Mapping[str, Any] = {
        "transformer": lambda: CogVideoXTransformer3DModel(text_embed_dim=4096, **_TRANSFORMER[name]),
        "vae": lambda: AutoencoderKLCogVideoX(**_VAE),
        "text_encoder": lambda: T5EncoderModel(T5Config(**_READER)),
    }
    (folder / "scheduler").mkdir(parents=True, exist_ok=True)
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(_SCHEDULER))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "CogVideoXPipeline"} | parts))
    shipped = shipped_model("demo_motion") / "tokenizer"
    (folder / "tokenizer").mkdir(exist_ok=True)
    for file in shipped.iterdir():
        (folder / "tokenizer" / file.name).write_bytes(file.read_bytes())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for part, make in kinds.items():
        if not (folder / part).exists():
            with torch.device(device):
                torch.set_default_dtype(torch.bfloat16)
                module = make()
                torch.set_default_dtype(torch.float32)
            module.save_pretrained(folder / part)
            del module
    return Model(digest=name.ljust(64, "0"), family="cogvideox", name=name, path=str(folder))


def job_of(model: Model, *, tiny: bool, steps: int) -> Job:
    canvas = {"width": 48, "height": 48, "frames": 9} if tiny else {"width": 720, "height": 480, "frames": 49}
    fields = {"prompt": "a red circle moving right", "seed": 1, "fps": 8.0, "schedule": "simple", "steps": steps}
    dpm = {"sampler": "cogvideox_dpm", "dynamic_guidance": True, "guidance_scale": 6.0}
    return make_job(model, fields | dpm | canvas | {"precision": "fp32" if tiny else "bf16"})


def rendered(
    model: Model, runtime: Runtime, job: Job, *, bookmarks: Any, until: int = 0
) -> tuple[Rendered, list[float]]:
    """Render `job` in a session of its own; return it with the time of each step, or end after `until` steps."""
    session = DiffusionEngine(runtime).open(model)
    times = [time.perf_counter()]

    def on_step(step: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter())
        if step == until + 1:
            raise Interruption

    try:
        (found,) = session.render([job], on_step, FORGETFUL, bookmarks)
    finally:
        session.close()
    return found, [*times, time.perf_counter()]


def equal_after_an_interruption(model: Model, runtime: Runtime, job: Job) -> bool:
    """Render half of `job`, go on in another session, and compare with a whole one."""
    whole, _ = rendered(model, runtime, job, bookmarks=Memory(), until=job.sampling.steps)
    bookmarks = Memory()
    try:
        rendered(model, runtime, job, bookmarks=bookmarks, until=job.sampling.steps // 2)
    except Interruption:
        resumed, times = rendered(model, runtime, job, bookmarks=bookmarks, until=job.sampling.steps)
    taken = len(times) - 2
    return taken < job.sampling.steps and bool(np.array_equal(whole.pixels, resumed.pixels))


def line(name: str, model: Model, mode: str, steps: int, peak: float) -> str:
    """Measure one way of holding the model; a row of the table."""
    tiny = name == "tiny"
    runtime = Runtime(memory=mode, checkpoint_every=0.001)
    job = job_of(model, tiny=tiny, steps=steps)
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    _, times = rendered(model, replace(runtime, checkpoint_every=0), job, bookmarks=Memory(), until=steps)
    clip = time.perf_counter() - begun
    step = float(np.median(np.diff(times[1:-1]))) if steps > 1 else times[1] - times[0]
    highest = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if cuda else "-"
    share = f"{100 * 2 * FORWARD[name] / step / peak:.0f} %" if name in FORWARD and cuda else "-"
    equal = equal_after_an_interruption(model, runtime, job_of(model, tiny=tiny, steps=4))
    decode = times[-1] - times[-2]
    cells = (name, mode, steps, f"{step:.3f}", f"{decode:.1f}", f"{clip:.1f}", highest, share, "yes" if equal else "NO")
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", action="append", choices=("tiny", "2b", "5b"))
    arguments.add_argument("--memory", action="append", choices=MODES)
    arguments.add_argument("--steps", type=int, default=50)
    arguments.add_argument("--folder", type=Path, help="where random weights are written and found again")
    arguments.add_argument("--peak", type=float, default=989e12, help="operations a second: bf16 without sparsity")
    asked = arguments.parse_args()
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    print(f"{time.strftime('%Y-%m-%d')}; {where}; torch {torch.__version__}\n")
    print("| model | memory | steps | s a step | s to decode | s a clip with loading | peak | share | resumes equal |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name in asked.model or ("tiny",):
            path = shipped_model("demo_motion")
            tiny = Model(digest="0" * 64, family="cogvideox", name="demo_motion", path=str(path))
            model = tiny if name == "tiny" else write_model(name, (asked.folder or Path(scratch)) / name)
            for mode in asked.memory or MODES:
                print(line(name, model, mode, asked.steps, asked.peak), flush=True)


if __name__ == "__main__":
    main()
