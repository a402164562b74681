"""What a gallery page of 10,000 pictures costs: until it answers a key, while it is scrolled, and in memory.

    .venv/bin/python benchmarks/gallery.py [--prompts 100] [--seeds 100] [--rounds 3]

Beside it the plainest page that shows the same thumbnails: one `<img loading=lazy>` a picture. Needs a Chromium.
"""

import argparse
import html
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from trials.chromium import chromium, running, until
from trials.galleries import many

TURNS = 100
ANSWERED = """
addEventListener('keydown', () => requestAnimationFrame(() => { globalThis.answered ??= performance.now(); }));
"""
FRAMES = """() => {
    globalThis.frames = [];
    let last = performance.now();
    const each = now => { frames.push(now - last); last = now; requestAnimationFrame(each); };
    requestAnimationFrame(each);
}"""
PLAIN = """<!doctype html><html lang="en"><meta charset="utf-8"><title>plain</title><link rel="icon" href="data:,">
<style>img { width: 128px; height: 128px; margin: 4px; }</style><body data-ready tabindex="0">
"""


@dataclass(frozen=True)
class Cost:
    """Of one page, once."""

    answered: float
    """Milliseconds from the beginning of navigation to the first answered key."""
    busy: float
    """Milliseconds of CPU on the page's thread until then."""
    megabytes: float
    """Of JavaScript objects."""
    elements: float
    frame: float
    """Milliseconds, in the middle, while the wheel turns."""
    slow: float
    """The same of the slowest frame in a hundred."""


def plain(gallery: Path) -> Path:
    """Write the plain page into the folder of a gallery."""
    names = sorted((gallery / "thumbs").iterdir())
    pictures = (f'<img loading="lazy" src="thumbs/{html.escape(name.name)}" alt="{name.stem}">' for name in names)
    page = gallery / "plain.html"
    page.write_text(PLAIN + "\n".join(pictures))
    return page


def cost(browser, page: Path, box: str, mode: str) -> Cost:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.add_init_script(ANSWERED)
        opened = context.new_page()
        metrics = context.new_cdp_session(opened)
        metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
        opened.goto(page.as_uri() + mode)
        opened.wait_for_selector("[data-ready]", state="attached")
        opened.keyboard.press("w")
        answered = until(opened, "globalThis.answered")
        used = {each["name"]: each["value"] for each in metrics.send("Performance.getMetrics")["metrics"]}
        frames = scrolled(opened, box)
        elements = opened.evaluate("document.getElementsByTagName('*').length")
        slow = sorted(frames)[int(len(frames) * 0.99)]
        return Cost(
            answered,
            used["TaskDuration"] * 1000,
            used["JSHeapUsedSize"] / 2**20,
            elements,
            statistics.median(frames),
            slow,
        )


def scrolled(page, box: str) -> list[float]:
    """Turn the wheel, and return how many milliseconds each frame took."""
    where = page.locator(box).bounding_box()
    page.mouse.move(where["x"] + 200, 400)
    page.evaluate(FRAMES)
    for _ in range(TURNS):
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(16)
    return page.evaluate("frames")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--prompts", type=int, default=100)
    arguments.add_argument("--seeds", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=3)
    said = arguments.parse_args()
    program = chromium() or sys.exit("no Chromium here; BATCHGEN_CHROMIUM may name one")
    with tempfile.TemporaryDirectory() as folder, running(program) as browser:
        start = time.perf_counter()
        page = many(Path(folder) / "run", said.prompts, said.seeds)
        written, size = time.perf_counter() - start, (page.parent / "data.js").stat().st_size
        print(f"{said.prompts * said.seeds:,} cells, written in {written:.1f} s; data.js has {size / 2**20:.1f} MB")
        pages = {
            "gallery, grid": (page, "#grid", ""),
            "gallery, wall": (page, "#grid", "#mode=wall"),
            "one <img> a picture": (plain(page.parent), "body", ""),
        }
        costs = {name: [cost(browser, *each) for _ in range(said.rounds)] for name, each in pages.items()}
    print(f"{'':20} answers  of CPU  objects  elements  frame  99 %")
    for name, each in costs.items():
        middle = {key: statistics.median(getattr(one, key) for one in each) for key in Cost.__annotations__}
        print(
            f"{name:20} {middle['answered']:4.0f} ms {middle['busy']:4.0f} ms {middle['megabytes']:5.1f} MB"
            f" {middle['elements']:8.0f}  {middle['frame']:4.0f} ms {middle['slow']:3.0f} ms"
        )
    print(json.dumps({name: [vars(one) for one in each] for name, each in costs.items()}), file=sys.stderr)


if __name__ == "__main__":
    main()
