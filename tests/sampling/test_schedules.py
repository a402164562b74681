"""Noise levels are those that ComfyUI lists.

The numbers below were computed apart from the product, with mpmath at 40 digits: betas and their running product in
plain loops, levels between training steps as powers, the Beta(0.6, 0.6) quantile by bisection of the incomplete beta
function, the nearest training step by trying all. Stable Diffusion: betas from 0.00085 to 0.012, even in the root.
"""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchgen.errors import ModelError, UsageError
from batchgen.sampling.names import FLOW_SCHEDULES, SAMPLERS, SCHEDULES
from batchgen.sampling.schedules import flow_table, sigmas, timesteps_of, training_table

STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
DEV = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15, "shift": 3.0}
SCHNELL = {"use_dynamic_shifting": False, "shift": 1.0}
WAN = {"use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction"}
LTX = {
    "use_dynamic_shifting": True,
    "base_image_seq_len": 1024,
    "max_image_seq_len": 4096,
    "base_shift": 0.95,
    "max_shift": 2.05,
    "shift_terminal": 0.1,
}

# fmt: off
TABLE_ENDS = (0.0291671581517, 14.6146412293)

LEVELS = {
    ('normal', 4): [14.614641229, 2.9183071154, 0.93235796683, 0.029167158152],
    ('normal', 8): [
        14.614641229, 6.677999587, 3.5220566255, 2.0606413507, 1.2768323025, 0.79125983642, 0.43966575968,
        0.029167158152,
    ],
    ('normal', 20): [
        14.614641229, 10.746802463, 8.0815194366, 6.2049343414, 4.855652677, 3.8653791103, 3.1237615239,
        2.5571660051, 2.1156577568, 1.764822561, 1.4805806095, 1.2458131681, 1.0481420471, 0.87842814193,
        0.72971869151, 0.59643356202, 0.47358471123, 0.35554541474, 0.23216424415, 0.029167158152,
    ],
    ('karras', 4): [14.614641229, 3.168603073, 0.44691820937, 0.029167158152],
    ('karras', 8): [
        14.614641229, 7.9029350443, 4.0277375131, 1.9103565118, 0.82886773687, 0.3211195202, 0.10719839329,
        0.029167158152,
    ],
    ('karras', 20): [
        14.614641229, 11.72536485, 9.3402027518, 7.383617349, 5.7894117072, 4.4998350368, 3.4647472177,
        2.6408403429, 1.9909152647, 1.4832111271, 1.0907858677, 0.79094567428, 0.56472137957, 0.3963897772,
        0.27303784409, 0.18416785237, 0.12134135508, 0.077860029486, 0.048481361923, 0.029167158152,
    ],
    ('exponential', 4): [14.614641229, 1.8400239581, 0.23166413143, 0.029167158152],
    ('exponential', 8): [
        14.614641229, 6.0129696198, 2.4739439772, 1.017866244, 0.41878542938, 0.17230283143, 0.070891353028,
        0.029167158152,
    ],
    ('exponential', 20): [
        14.614641229, 10.536308352, 7.5960669808, 5.476323552, 3.9481115322, 2.8463593363, 2.0520599292,
        1.4794161438, 1.0665732006, 0.76893739259, 0.55435924456, 0.39966085014, 0.28813228371, 0.20772665847,
        0.14975886798, 0.10796745446, 0.077838270149, 0.056116876423, 0.040457011872, 0.029167158152,
    ],
    ('sgm_uniform', 4): [14.614641229, 4.0860810712, 1.6155802602, 0.69514951908],
    ('sgm_uniform', 8): [
        14.614641229, 7.3019823185, 4.0860810712, 2.4959668356, 1.6155802602, 1.0711591548, 0.69514951908,
        0.39970143355,
    ],
    ('sgm_uniform', 20): [
        14.614641229, 10.907318474, 8.3071721735, 6.4476883745, 5.0924075907, 4.0860810712, 3.3250691492,
        2.7390830299, 2.2797302952, 1.9132100764, 1.6155802602, 1.3696433074, 1.1628645341, 0.98595529182,
        0.83188369337, 0.69514951908, 0.57118886665, 0.4557357037, 0.34370481751, 0.22545229878,
    ],
    ('simple', 4): [14.614641229, 4.0817293637, 1.6128861943, 0.69320489964],
    ('simple', 8): [
        14.614641229, 7.2973520304, 4.0817293637, 2.4925305845, 1.6128861943, 1.0689513811, 0.69320489964,
        0.39774562719,
    ],
    ('simple', 20): [
        14.614641229, 10.904235383, 8.3028031911, 6.4429550867, 5.0877631827, 4.0817293637, 3.3210831298,
        2.735469122, 2.2764630658, 1.9102507295, 1.6128861943, 1.3671727316, 1.160578322, 0.98381721693,
        0.82985952818, 0.69320489964, 0.56928488835, 0.45381852446, 0.34167383228, 0.22300313793,
    ],
    ('ddim_uniform', 4): [4.1166964793, 1.6236920815, 0.69839809116, 0.041314411997],
    ('ddim_uniform', 8): [
        7.3718440965, 4.1166964793, 2.5109214817, 1.6236920815, 1.076031062, 0.69839809116, 0.40221773223,
        0.041314411997,
    ],
    ('ddim_uniform', 20): [
        11.028331165, 8.3906847702, 6.5063978375, 5.1344311175, 4.1166964793, 3.3477635807, 2.756195854,
        2.2928538218, 1.9234433149, 1.6236920815, 1.3761789107, 1.168215955, 0.99040887683, 0.83565280803,
        0.69839809116, 0.57405025946, 0.45833270096, 0.34618670638, 0.22814673645, 0.041314411997,
    ],
    ('beta', 4): [14.614641229, 5.6865914543, 1.618278826, 0.51539061272],
    ('beta', 8): [
        14.614641229, 10.48347268, 5.6865914543, 2.9636127305, 1.618278826, 0.91983329465, 0.51539061272,
        0.24326975364,
    ],
    ('beta', 20): [
        14.614641229, 13.515695792, 11.54277083, 9.3889235102, 7.3718440965, 5.6865914543, 4.3728017341,
        3.3747249199, 2.6152358254, 2.0473118037, 1.618278826, 1.2846211648, 1.0273293401, 0.82122118677,
        0.65488535956, 0.51539061272, 0.39550969343, 0.29128393953, 0.19905862867, 0.11141881773,
    ],
}

TIMESTEPS = {
    ('normal', 4): [999, 666, 333, 0],
    ('normal', 8): [999, 856, 714, 571, 428, 285, 143, 0],
    ('normal', 20): [999, 946, 894, 841, 789, 736, 684, 631, 578, 526, 473, 421, 368, 315, 263, 210, 158, 105, 53, 0],
    ('karras', 4): [999, 687, 146, 0],
    ('karras', 8): [999, 890, 746, 549, 299, 90, 12, 0],
    ('karras', 20): [999, 962, 921, 876, 827, 772, 710, 640, 561, 474, 380, 285, 197, 123, 69, 35, 15, 6, 2, 0],
    ('exponential', 4): [999, 538, 52, 0],
    ('exponential', 8): [999, 835, 622, 359, 133, 31, 5, 0],
    ('exponential', 20): [999, 943, 882, 815, 741, 659, 570, 473, 373, 277, 193, 125, 76, 43, 23, 12, 6, 3, 1, 0],
    ('sgm_uniform', 4): [999, 749, 500, 250],
    ('sgm_uniform', 8): [999, 874, 749, 624, 500, 375, 250, 125],
    ('sgm_uniform', 20): [
        999, 949, 899, 849, 799, 749, 699, 649, 599, 549, 500, 450, 400, 350, 300, 250, 200, 150, 100, 50,
    ],
    ('simple', 4): [999, 749, 499, 249],
    ('simple', 8): [999, 874, 749, 624, 499, 374, 249, 124],
    ('simple', 20): [
        999, 949, 899, 849, 799, 749, 699, 649, 599, 549, 499, 449, 399, 349, 299, 249, 199, 149, 99, 49,
    ],
    ('ddim_uniform', 4): [751, 501, 251, 1],
    ('ddim_uniform', 8): [876, 751, 626, 501, 376, 251, 126, 1],
    ('ddim_uniform', 20): [
        951, 901, 851, 801, 751, 701, 651, 601, 551, 501, 451, 401, 351, 301, 251, 201, 151, 101, 51, 1,
    ],
    ('beta', 4): [999, 823, 500, 176],
    ('beta', 8): [999, 942, 823, 670, 500, 329, 176, 57],
    ('beta', 20): [999, 986, 959, 922, 876, 823, 765, 703, 637, 569, 500, 430, 362, 296, 234, 176, 123, 77, 40, 13],
}

# One level more, and the last but one left out: dpm_2 and its like, at 4 steps.
DROPPED = {
    'normal': [14.614641229, 4.0860810712, 1.6155802602, 0.69514951908],
    'karras': [14.614641229, 4.7965348271, 1.274100209, 0.24794990271],
    'simple': [14.614641229, 5.0877631827, 2.2764630658, 1.160578322],
}

# karras, 8 steps at strength 0.5: the last nine of 16 steps' levels.
HALF = [
        1.0459076264, 0.69257037681, 0.44691820937, 0.2800841677, 0.16975657576, 0.098992526598, 0.055184156642,
        0.029167158152, 0.0,
]

# FLUX.1-dev at 4096 tokens (1024x1024) and 1024 tokens (512x512), FLUX.1-schnell; 4 steps.
FLOW = {
    ('dev', 'normal'): [1.0, 0.86337637584, 0.61249212723, 0.00099652394671],
    ('dev', 'sgm_uniform'): [1.0, 0.9045671199, 0.75962624452, 0.51315953958],
    ('dev', 'simple'): [1.0, 0.90453076674, 0.75951091695, 0.51284410151],
    ('dev', 'beta'): [1.0, 0.93677578259, 0.759583971, 0.40249830531],
    ('schnell', 'normal'): [1.0, 0.667, 0.334, 0.001],
    ('schnell', 'sgm_uniform'): [1.0, 0.75025, 0.5005, 0.25075],
    ('schnell', 'simple'): [1.0, 0.75, 0.5, 0.25],
    ('schnell', 'beta'): [1.0, 0.824, 0.501, 0.177],
    ('dev_512', 'normal'): [1.0, 0.78975160562, 0.48435910488, 0.00035245313946],
    ('dev_512', 'sgm_uniform'): [1.0, 0.8492668804, 0.65257459835, 0.38512253415],
    ('dev_512', 'simple'): [1.0, 0.84923483068, 0.65248946219, 0.38494474882],
    ('dev_512', 'beta'): [1.0, 0.89805121743, 0.65258015545, 0.28596424887],
}
# fmt: on


@pytest.fixture(scope="module")
def table():
    return training_table(STABLE_DIFFUSION)


def test_the_training_table_ends_where_stable_diffusion_s_does(table):
    assert (table.sigmas[0], table.sigmas[-1]) == pytest.approx(TABLE_ENDS, rel=1e-10)
    assert len(table.sigmas) == 1000


@pytest.mark.parametrize(("schedule", "steps"), LEVELS)
def test_a_schedule_visits_comfyui_s_levels(table, schedule, steps):
    found = sigmas(schedule, steps, table, sampler="euler")
    assert found == pytest.approx([*LEVELS[schedule, steps], 0.0], rel=1e-9)


@pytest.mark.parametrize(("schedule", "steps"), TIMESTEPS)
def test_the_denoiser_is_told_the_nearest_training_step(table, schedule, steps):
    found = timesteps_of(sigmas(schedule, steps, table, sampler="euler")[:-1], table)
    assert found.tolist() == TIMESTEPS[schedule, steps]


@pytest.mark.parametrize("schedule", DROPPED)
@pytest.mark.parametrize(
    ("sampler", "end"), [("dpm_2", 0.0), ("dpm_2_ancestral", 0.0), ("uni_pc", 0.001), ("uni_pc_bh2", 0.001)]
)
def test_some_samplers_leave_out_the_last_level_but_one(table, sampler, end, schedule):
    assert sigmas(schedule, 4, table, sampler=sampler) == pytest.approx([*DROPPED[schedule], end], rel=1e-9)


def test_strength_keeps_the_last_levels_of_a_longer_run(table):
    assert sigmas("karras", 8, table, sampler="euler", strength=0.5) == pytest.approx(HALF, rel=1e-9)


def test_full_strength_changes_nothing(table):
    whole = sigmas("karras", 8, table, sampler="euler")
    assert sigmas("karras", 8, table, sampler="euler", strength=1.0).tolist() == whole.tolist()


def test_betas_that_rise_evenly_give_their_own_levels():
    linear = training_table({"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"})
    expected = [157.40728081, 9.4889202295, 1.462356697, 0.010000500038, 0.0]
    assert sigmas("normal", 4, linear, sampler="euler") == pytest.approx(expected, rel=1e-9)


def test_betas_may_be_given_one_by_one():
    betas = [0.1, 0.2, 0.3]
    kept = 0.9 * 0.8 * 0.7
    assert training_table({"trained_betas": betas}).sigmas[-1] == pytest.approx(((1 - kept) / kept) ** 0.5)


def test_a_silent_configuration_means_what_diffusers_takes():
    assert training_table({}).sigmas[-1] == pytest.approx(157.40728081)


@pytest.mark.parametrize(("model", "schedule"), FLOW)
def test_flow_models_visit_comfyui_s_levels(model, schedule):
    config, tokens = {"dev": (DEV, 4096), "dev_512": (DEV, 1024), "schnell": (SCHNELL, 4096)}[model]
    table = flow_table(config, tokens=tokens)
    found = sigmas(schedule, 4, table, sampler="euler")
    assert found == pytest.approx([*FLOW[model, schedule], 0.0], rel=1e-9)
    assert timesteps_of(found, table) == pytest.approx(found * 1000)


@pytest.mark.parametrize(
    ("config", "word"),
    [({"rescale_betas_zero_snr": True}, "zero"), ({"beta_schedule": "squaredcos_cap_v2"}, "squaredcos_cap_v2")],
)
def test_a_training_that_is_not_supported_is_refused_by_name(config, word):
    with pytest.raises(ModelError, match=word):
        training_table(config)


def test_more_steps_than_levels_are_refused(table):
    with pytest.raises(UsageError, match="'simple' has no 1001 different levels among 1000"):
        sigmas("simple", 1001, table, sampler="euler")


@settings(deadline=None)
@given(
    sampler=st.sampled_from(sorted(SAMPLERS)),
    schedule=st.sampled_from(SCHEDULES),
    steps=st.integers(1, 120),
    strength=st.none() | st.floats(0.125, 1.0),
)
def test_levels_fall_strictly_to_the_end_of_their_sampler(sampler, schedule, steps, strength):
    table = training_table(STABLE_DIFFUSION)
    found = sigmas(schedule, steps, table, sampler=sampler, strength=strength)
    assert (np.diff(found) < 0).all()
    assert found[-1] == SAMPLERS[sampler].last_sigma
    assert found[0] <= table.sigmas[-1] * (1 + 1e-12)
    if schedule not in ("ddim_uniform", "beta"):  # whose number of steps is ComfyUI's, not always the one asked for
        assert len(found) == steps + 1
    times = timesteps_of(found[:-1], table)
    assert ((times >= 0) & (times <= 999) & (times % 1 == 0)).all()
    assert (np.diff(times) <= 0).all()


@settings(deadline=None)
@given(schedule=st.sampled_from(FLOW_SCHEDULES), steps=st.integers(1, 60), tokens=st.integers(256, 8192))
def test_flow_levels_fall_strictly_from_one_to_zero(schedule, steps, tokens):
    found = sigmas(schedule, steps, flow_table(DEV, tokens=tokens), sampler="euler")
    assert found[0] == pytest.approx(1.0)
    assert found[-1] == 0.0
    assert len(found) == steps + 1
    assert (np.diff(found) < 0).all()


@settings(deadline=None)
@given(
    sampler=st.sampled_from(sorted(each.name for each in SAMPLERS.values() if each.flow)),
    schedule=st.sampled_from(FLOW_SCHEDULES),
    steps=st.integers(1, 60),
    shift=st.floats(0.5, 20.0),
    config=st.sampled_from([DEV, LTX, WAN]),
)
def test_flow_levels_fall_strictly_whatever_the_shift(sampler, schedule, steps, shift, config):
    found = sigmas(schedule, steps, flow_table(config, tokens=1024, shift=shift), sampler=sampler)
    assert found[0] == pytest.approx(1.0)
    assert found[-1] == SAMPLERS[sampler].last_sigma
    assert (np.diff(found) < 0).all()


def test_a_shift_that_is_asked_for_stands_before_the_checkpoint_s():
    """Time 3/4, 1/2 and 1/4 bent by 5: 5t / (1 + 4t)."""
    for config in (DEV, SCHNELL, WAN):
        found = sigmas("simple", 4, flow_table(config, tokens=4096, shift=5.0), sampler="euler")
        assert found == pytest.approx([1.0, 3.75 / 4, 2.5 / 3, 1.25 / 2, 0.0])


def test_wan_says_its_shift_under_another_name():
    found = sigmas("simple", 4, flow_table(WAN, tokens=4096), sampler="euler")
    assert found == pytest.approx([1.0, 2.25 / 2.5, 1.5 / 2, 0.75 / 1.5, 0.0])


def test_the_levels_of_ltx_video_are_stretched_so_that_the_last_is_the_one_it_was_taught():
    plain = sigmas("simple", 4, flow_table(LTX | {"shift_terminal": None}, tokens=1024), sampler="euler")
    found = sigmas("simple", 4, flow_table(LTX, tokens=1024), sampler="euler")
    assert found[[0, 3, 4]] == pytest.approx([1.0, 0.1, 0.0])
    assert (1 - found[:4]) / 0.9 == pytest.approx((1 - plain[:4]) / (1 - plain[3]))
    assert sigmas("simple", 1, flow_table(LTX, tokens=1024), sampler="euler") == pytest.approx([1.0, 0.0])


def test_neither_numpy_nor_torch_is_imported_for_names_and_no_torch_for_levels():
    script = (
        "import sys, batchgen.sampling.names; assert not {'numpy', 'torch'} & sys.modules.keys();"
        "import batchgen.sampling.schedules; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
