"""What charts say and how they are made; how they look is for eyes."""

import io
import itertools
import math
import random
import re
import sys
import threading
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from PIL import Image

from batchgen.compare.charts.draw import draw_charts, said
from batchgen.compare.charts.drawing import apart
from batchgen.compare.charts.reading import EVALUATIONS, STEPS, enough, front, nearest, offers
from batchgen.compare.charts.series import gather, spread
from batchgen.compare.metrics import Differences
from batchgen.compare.results import Result, Results

SAMPLERS = ("euler", "heun", "lms", "ddim")
SCHEDULES = ("simple", "karras", "sgm_uniform")


def swept(axes, made, *, environments=None):
    """A run over all values of `axes`, `made` saying of each place what is known of it, `psnr` and `ssim` with it."""
    axes = {"prompt": ("a circle",), **axes}
    places, psnr, ssim = [], [], []
    for number, values in enumerate(itertools.product(*axes.values())):
        at = dict(zip(axes, values, strict=True))
        facts = {"state": "made", "seconds": 1.0, "evaluations": at.get("steps"), **made(at)}
        psnr.append(facts.pop("psnr", None))
        ssim.append(facts.pop("ssim", None))
        recipe = facts.pop("recipe", {"model": "demo"})
        places.append(Result(coordinates=at, id=f"{number:064x}", prompt=at["prompt"], recipe=recipe, **facts))
    results = Results(name="run", axes=axes, places=tuple(places), environments=environments or {})
    reference = tuple(-1 if value is None else 0 for value in psnr)
    return results, Differences(
        reference=reference, psnr=tuple(psnr), ssim=tuple(ssim), text="steps 30 of the same seed"
    )


def converging(at):
    """Nearer with more steps; `heun` asks twice a step, and has nothing to measure the last one against."""
    twice = at.get("sampler") == "heun"
    rank = SAMPLERS.index(at["sampler"]) if at.get("sampler") in SAMPLERS else 0
    near = 10 + at["steps"] * (1 + 0.2 * rank) + at.get("seed", 0)
    last = at["steps"] == 30
    return {
        "evaluations": at["steps"] * (2 if twice else 1),
        "seconds": 0.01 * at["steps"] * (2 if twice else 1),
        "psnr": None if last else near,
        "ssim": None if last else 1 - 10 ** (-near / 20),
    }


FEW = {"sampler": SAMPLERS, "steps": (4, 8, 16, 30), "seed": (0, 1)}
MANY = {"sampler": SAMPLERS, "schedule": SCHEDULES, "steps": (4, 8, 16, 30), "seed": (0, 1)}


def names(drawn):
    return [chart.name for chart in drawn.charts]


def test_a_series_is_a_sampler_with_a_schedule_and_takes_the_median_of_all_else():
    axes = {"sampler": SAMPLERS, "schedule": SCHEDULES, "steps": (4, 8), "seed": (0, 1, 2)}

    sweep = gather(*swept(axes, lambda at: {"psnr": 20.0 + 10 * at["seed"], "ssim": 0.5}))

    assert [each.name for each in sweep.series[:4]] == [
        "euler simple",
        "euler karras",
        "euler sgm_uniform",
        "heun simple",
    ]
    assert [point.psnr.middle for point in sweep.series[0].points] == [30.0, 30.0]
    assert (sweep.series[0].points[0].psnr.low, sweep.series[0].points[0].psnr.high) == (25.0, 35.0)


def test_a_median_between_a_number_and_infinity_claims_the_number():
    assert spread([40.0, math.inf]).middle == 40.0
    assert spread([math.inf, math.inf, 40.0]).middle == math.inf
    assert spread([None]) is None


def test_numbers_that_are_swept_make_series_where_no_words_are():
    axes = {"guidance_scale": (1.0, 7.5), "steps": (4, 8)}

    sweep = gather(*swept(axes, lambda _: {"psnr": 20.0}))

    assert [each.name for each in sweep.series] == ["guidance_scale 1", "guidance_scale 7.5"]


def test_what_is_near_enough_stays_so():
    values = {2: 45.0, 4: 20.0, 8: 41.0, 16: 44.0}

    (series,) = gather(*swept({"steps": tuple(values)}, lambda at: {"psnr": values[at["steps"]]})).series

    assert enough(series, STEPS, 40.0) == 8
    assert enough(series, STEPS, 44.5) is None


def test_a_budget_counts_evaluations_where_a_step_takes_two():
    sweep = gather(*swept(FEW, converging))

    ranked = [each.name for each, _ in nearest(sweep.series, EVALUATIONS, 8)]

    # With 8 evaluations heun has taken 4 steps.
    assert ranked == ["ddim", "lms", "euler", "heun"]
    assert [each.name for each, _ in nearest(sweep.series, STEPS, 8)] == ["ddim", "lms", "heun", "euler"]


def test_nothing_on_the_front_is_outdone():
    dice = random.Random(6)
    sweep = gather(*swept(MANY, lambda at: converging(at) | {"psnr": dice.uniform(10, 40)}))
    everything = list(offers(sweep))

    members = front(everything)

    assert len(members) > 1
    for member in members:
        assert not any(each.seconds <= member.seconds and each.psnr > member.psnr for each in everything)
    for each in everything:
        assert any(member.seconds <= each.seconds and member.psnr + 0.5 > each.psnr for member in members)


def test_few_series_are_one_chart_and_many_have_panels():
    assert names(draw_charts(*swept(FEW, converging))) == [
        "convergence_steps",
        "convergence_evaluations",
        "tradeoff",
        "seconds",
    ]
    axes = MANY | {"sampler": ("euler", "heun", "lms")}
    assert names(draw_charts(*swept(axes, converging))) == [
        "convergence_steps",
        "convergence_evaluations",
        "psnr_steps",
        "psnr_evaluations",
        "ssim_steps",
        "ssim_evaluations",
        "tradeoff",
        "seconds",
    ]


def test_evaluations_have_a_chart_only_where_they_are_not_steps():
    axes = FEW | {"sampler": ("euler", "lms")}

    assert "convergence_evaluations" not in names(draw_charts(*swept(axes, converging)))


@pytest.mark.parametrize(
    ("axes", "made"),
    [
        ({}, lambda _: {}),
        ({"seed": (0, 1)}, lambda _: {}),
        ({"steps": (30,)}, lambda _: {}),
        ({"steps": (4, 30)}, lambda _: {"state": "missing", "seconds": None}),
        ({"steps": (4, 30)}, lambda _: {"seconds": None, "evaluations": None}),
    ],
    ids=["one picture", "seeds", "one number of steps", "nothing made", "nothing measured"],
)
def test_what_has_nothing_to_show_is_left_out(axes, made):
    drawn = draw_charts(*swept(axes, made))

    assert drawn.charts == ()
    assert drawn.findings == ()


@pytest.mark.parametrize(
    ("axes", "made"),
    [
        (FEW, lambda _: {"psnr": math.inf, "ssim": 1.0}),
        (MANY, lambda at: {"psnr": math.inf if at["steps"] > 8 else 30.0, "ssim": 1.0 if at["steps"] > 8 else 0.9}),
        (FEW, lambda _: {"psnr": 30.0, "ssim": None}),
        (FEW, lambda _: {"psnr": 30.0, "ssim": 0.9, "seconds": 0.0}),
        (MANY, lambda at: {"psnr": None if at["sampler"] == "heun" else 30.0, "ssim": -0.3}),
        (FEW, lambda _: {"psnr": 30.0, "evaluations": None}),
        (FEW, lambda at: {"state": "failed" if at["steps"] > 4 else "made", "psnr": 20.0}),
    ],
    ids=["equal", "equal from 16", "no SSIM", "no time", "one unmeasured", "no evaluations", "half made"],
)
def test_odd_numbers_are_drawn_all_the_same(axes, made):
    drawn = draw_charts(*swept(axes, made))

    assert drawn.charts
    for chart in drawn.charts:
        Image.open(io.BytesIO(chart.png)).verify()
        assert not re.search(r"\b(nan|inf)\b", chart.svg + chart.text)


def test_pictures_that_equal_their_references_stand_at_the_edge():
    def made(at):
        return converging(at) | ({"psnr": math.inf, "ssim": 1.0} if at["steps"] == 16 else {})

    drawn = {chart.name: chart for chart in draw_charts(*swept(MANY, made)).charts}

    assert "equal to the reference" in drawn["psnr_steps"].svg
    assert "equal to the reference" in drawn["ssim_steps"].svg
    assert "ddim simple (23.3 dB)" in drawn["convergence_steps"].text


def test_a_name_is_shown_as_it_is():
    hostile = ("$\\frac{a}{b}$ 100%", "a_b^c </script><b>&amp;", "\u202eright to left", "日本語 漢字", "_", "x" * 300)

    drawn = draw_charts(*swept({"sampler": hostile, "steps": (4, 8, 30), "seed": (0,)}, converging))

    shown = [
        "".join(text.itertext()) for text in ET.fromstring(drawn.charts[0].svg).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert {"$\\frac{a}{b}$ 100%", "a_b^c </script><b>&amp;", "日本語 漢字", "_"} <= set(shown)
    assert any(each.startswith("xxx") and each.endswith("…") for each in shown)
    assert not any("\u202e" in each for each in shown)


def test_an_svg_runs_nothing_and_names_no_other_place():
    for chart in draw_charts(*swept(MANY, converging)).charts:
        root = ET.fromstring(chart.svg)
        for element in root.iter():
            assert element.tag.rpartition("}")[2] not in {"script", "foreignObject", "image", "metadata"}
            for name, value in element.attrib.items():
                assert not name.rpartition("}")[2].startswith("on")
                assert not name.endswith("href") or value.startswith("#")
        assert "DOCTYPE" not in chart.svg
        assert not re.search(r"url\((?!#)|@import|javascript:", chart.svg)
        assert root[0].text == chart.title


def test_the_same_numbers_are_the_same_bytes():
    first, second = (draw_charts(*swept(FEW, converging)) for _ in range(2))

    assert first == second


def test_an_svg_has_colours_for_the_dark():
    (chart, *_) = draw_charts(*swept(FEW, converging)).charts

    rules = re.search(r"@media \(prefers-color-scheme:dark\)\{(.*)\}</style>", chart.svg)[1]
    used = {*re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", chart.svg)}

    assert used <= {*re.findall(r": (#[0-9a-f]{6})\"\]", rules)}


def test_drawing_leaves_nothing_behind():
    import matplotlib as mpl

    before = mpl.rcParams.copy()

    draw_charts(*swept(FEW, converging))

    assert mpl.rcParams.copy() == before
    assert "matplotlib.pyplot" not in sys.modules
    assert threading.active_count() == 1


def test_pace_is_told_per_sampler_model_and_machine():
    axes = {"sampler": ("euler", "heun"), "model": ("sdxl", "sd15"), "seed": (0, 1)}
    environments = {"a": {"device": "cuda", "device_name": "NVIDIA H200"}, "b": {"device": "cpu"}}

    def made(at):
        slow = {"euler": 1.0, "heun": 2.0}[at["sampler"]] * (3.0 if at["seed"] else 1.0)
        return {"seconds": slow, "environment": "b" if at["seed"] else "a", "recipe": {"model": at["model"]}}

    (chart,) = draw_charts(*swept(axes, made, environments=environments)).charts

    assert chart.name == "seconds"
    assert chart.text.startswith("Seconds for a picture, the quickest first: euler · sdxl · NVIDIA H200 1 s, ")
    assert "heun · sd15 · cpu 6 s" in chart.text


def test_a_front_is_told_of_where_it_has_more_than_one_series():
    def made(at):
        return converging(at) | ({"psnr": 99.0} if at["sampler"] == "heun" and at["steps"] == 16 else {})

    found = said(*swept(FEW, made))

    assert (
        "nothing was both as quick and nearer (Pareto front) than ddim at 4, 8 and 16 steps; heun at 16 steps" in found
    )


def test_it_is_said_when_each_sampler_was_measured_against_its_own():
    results, found = swept(FEW, converging)
    last = {place.coordinates["sampler"]: number for number, place in enumerate(results.places)}
    own = tuple(last[place.coordinates["sampler"]] for place in results.places)

    assert said(results, replace(found, reference=own))[0].startswith(
        "each sampler was measured against its own pictures"
    )
    assert not said(results, found)[0].startswith("each sampler")


def test_findings_say_what_the_numbers_say():
    found = said(*swept(FEW, converging))

    assert (
        found[0]
        == "with up to 4 evaluations nearest to its reference: ddim (16.9 dB), lms (16.1 dB) and euler (14.5 dB)"
    )
    assert any(each.startswith("30 dB or nearer with the fewest evaluations: ddim (16) and lms (16)") for each in found)
    assert found[-1] == "a picture at 30 steps took 0.3 s with euler and 0.6 s with heun (medians)"


def test_labels_stay_apart_in_order_and_inside():
    wanted = [0.5, 0.5, 0.5, 0.98, 1.0, 0.1]

    found = apart(wanted, 0.1, 0.0, 1.0)

    ordered = sorted(found)
    assert all(second - first > 0.0999 for first, second in itertools.pairwise(ordered))
    assert ordered[0] >= 0
    assert ordered[-1] <= 1
    assert sorted(range(6), key=lambda i: (wanted[i], i)) == sorted(range(6), key=found.__getitem__)
