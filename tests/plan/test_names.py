import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.manifest import manifest_text
from batchgen.plan.names import MAX_BYTES, file_stem, slug

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def stems(place, text):
    sweep = place.sweep(text)
    return [file_stem(cell, sweep.varying) for cell in sweep.cells]


def test_a_name_says_prompt_what_varies_seed_and_id(place):
    sweep = place.sweep("prompts: [A red circle!]\nset: {clip_skip: 2}\nsweep: {sampler: [ddim, euler], size: [64x64]}")
    cell = sweep.cells[0]

    assert file_stem(cell, sweep.varying) == f"A-red-circle_ddim_s0_{cell.job.id[:8]}"


def test_an_entry_s_own_name_goes_first(place):
    assert stems(place, "prompts: [{prompt: a red circle, name: SH020}]")[0].startswith("SH020_s0_")


def test_an_axis_that_does_not_touch_the_prompt_leaves_no_trace(place):
    plain, *_ = stems(place, "prompts: [x, {template: '${c} y'}]\nsweep: {c: [red, blue]}")

    assert re.fullmatch(r"x_s0_[0-9a-f]{8}", plain)


@given(TEXTS, TEXTS, st.integers(0, 2**64 - 1))
def test_any_text_makes_a_name_that_every_file_system_takes(somewhere, prompt, value, seed):
    text = manifest_text(
        {"prompts": [{"prompt": prompt}, {"template": "${a}"}], "seeds": [seed], "sweep": {"a": [value, value + "b"]}}
    )

    for cell in somewhere.sweep(text).cells:
        stem = file_stem(cell, ["prompt", "a", "seed"])
        assert len(stem.encode()) <= MAX_BYTES
        assert stem.endswith(f"_s{seed}_{cell.job.id[:8]}")
        assert not re.search(r'[\x00-\x1f\x7f/\\:*?"<>|\s]', stem)
        assert stem[0] not in ".-_ "
        assert unicodedata.normalize("NFC", stem) == stem


def test_hostile_prompts_make_different_harmless_names(place, hostile_prompts):
    names = stems(place, manifest_text({"prompts": list(hostile_prompts)}))

    assert len(set(names)) == len(hostile_prompts)
    assert not [name for name in names if ".." in name or "/" in name or "<" in name]


def test_seed_and_id_are_never_cut(place):
    text = manifest_text({"prompts": ["very long " * 200], "seeds": 2**64 - 1, "sweep": {"sampler": ["euler", "ddim"]}})

    for name in stems(place, text):
        assert re.fullmatch(r"very-long-.*_(euler|ddim)_s18446744073709551615_[0-9a-f]{8}", name)
        assert len(name.encode()) <= 116


def test_some_of_the_prompt_stays_however_much_the_axes_say(place):
    text = manifest_text({"prompts": [{"template": "a red circle ${a}"}], "sweep": {"a": ["very long " * 20, "b"]}})

    assert stems(place, text)[0].startswith("a-red-circle-very-long-v_very-long-very")


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("日本語 のプロンプト", "日本語-のプロンプト"),
        ("שלום, עולם", "שלום-עולם"),
        ("हिन्दी में", "हिन्दी-में"),
        ("e\u0301t\u00e9", "été"),
        ("\u202eabc\u202c", "abc"),
        ("👩‍👩‍👧 ☕", ""),
        ("...", ""),
        (".hidden", "hidden"),
        ("1.5_2", "1.5_2"),
    ],
)
def test_letters_of_every_script_stay(text, short):
    assert slug(text) == short


@given(TEXTS, st.integers(0, 60))
def test_a_slug_is_cut_between_characters(text, most):
    cut = slug(text, most)

    assert len(cut.encode()) <= most
    assert slug(text, 10_000).startswith(cut)


@pytest.mark.parametrize("word", ["con", "NUL", "com1", "Lpt9"])
def test_names_that_windows_keeps_for_itself_are_not_used(place, word):
    (name,) = stems(place, manifest_text({"prompts": [word]}))

    assert name.split("_", maxsplit=1)[0].lower() != word.lower()
