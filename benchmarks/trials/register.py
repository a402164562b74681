"""Every trial by name, with its full count."""

from typing import Final

from trials import Trial, again, bad_pictures, canaries, deaths, disks, journals, kills, power, prompts, resume, starts

TRIALS: Final[dict[str, tuple[Trial, int]]] = {
    "kills": (kills.one_by_one, 600),
    "kills_in_haste": (kills.hasty, 100),
    "kills_in_batches": (kills.in_batches, 200),
    "kills_embedded": (kills.embedded, 100),
    "kills_of_clips": (kills.clips, 100),
    "resume": (resume.of(resume.PICTURES), 20),
    "resume_clips": (resume.of(resume.CLIPS), 20),
    "power": (power.cuts, 200),
    "journal": (journals.damage, 40),
    "disk": (disks.full, 100),
    "starts": (starts.pairs, 100),
    "segv": (deaths.trial_of("SIGSEGV"), 100),
    "bus": (deaths.trial_of("SIGBUS"), 100),
    "exit137": (deaths.trial_of("exit 137"), 100),
    "hang": (deaths.trial_of("hang"), 100),
    "device": (deaths.trial_of("device lost"), 100),
    "bad_injected": (bad_pictures.injected, 100),
    "bad_decoded": (bad_pictures.decoded, 100),
    "reproduce": (again.reproduced, 72),
    "prompts": (prompts.fuzzed, 10_000),
    "canaries": (canaries.secrets, 20),
}
