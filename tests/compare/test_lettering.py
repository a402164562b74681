"""Lines of letters: where they break, how they are cut, in which direction they are read."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from batchgen.compare.fonts import Fonts, installed
from batchgen.compare.lettering import _clusters, _may_break, face

BARE = face(13, 17, Fonts())
HERE = face(13, 17)
MACHINES = {"no fonts": BARE, "the fonts of this machine": HERE}
INK, PAPER = (0, 0, 0), (255, 255, 255)


def drawn(line, letters=BARE, *, anchor="l", at=None, size=(400, 40)):
    paper = Image.new("RGB", size, PAPER)
    letters.write(paper, line, at or (0, 28), INK, anchor)
    return 255 - np.asarray(paper.convert("L")).astype(int)


def place(line, word):
    """Where in a line, drawn large, the word looks as it does alone, in pixels from the left."""
    large = face(40, 50, Fonts())
    whole, alone = (drawn(text, large, at=(4, 60), size=(900, 90)) for text in (line, word))
    columns = np.flatnonzero(alone.any(axis=0))
    alone = alone[:, columns[0] : columns[-1] + 1]
    differences = [np.abs(whole[:, x : x + alone.shape[1]] - alone).mean() for x in range(900 - alone.shape[1])]
    assert min(differences) < alone.mean() / 2, f"{word} is not there as it looks alone"
    return int(np.argmin(differences))


def without_breaks(lines):
    return "".join(lines).translate(dict.fromkeys(map(ord, " \u200b\u200e\u200f")))


@pytest.mark.parametrize("text", ["", "word", "many words that need more than one line of it", "x" * 500, "  \n "])
def test_wrapping_keeps_every_letter_and_stays_within_the_width(text):
    lines = BARE.wrap(text, 120)

    assert "".join(lines).replace(" ", "") == "".join(text.split())
    assert all(BARE.width(line) <= 120 for line in lines)


@pytest.mark.parametrize("letters", MACHINES.values(), ids=MACHINES)
def test_hostile_prompts_are_drawn_within_their_lines_and_without_a_box(letters, hostile_prompts):
    """matplotlib warns of a glyph that it has to draw as a box, and here a warning is an error."""
    for prompt in (*hostile_prompts, "強い \U0001f9d1\u200d\U0001f680 \ue000 क्षत्रिय ภาษา", "日" * 1000, "\u0301x"):
        lines = letters.fitted(prompt, 150, 4)

        assert 1 <= len(lines) <= 4
        assert all(letters.width(line) <= 150 for line in lines), lines
        assert all(drawn(line, letters).any() for line in lines if line.strip())


def test_words_are_kept_together_where_they_fit():
    assert BARE.wrap("a heron at dawn", BARE.width("a heron at")) == ["a heron at", "dawn"]


def test_an_address_breaks_behind_its_signs_and_a_word_that_has_none_anywhere():
    lines = BARE.wrap("https://example.org/a-long/path", 110)

    assert len(lines) > 1
    assert all(line[-1] in "/.-" for line in lines[:-1])
    assert without_breaks(BARE.wrap("w" * 90, 110)) == "w" * 90


def test_scripts_without_spaces_break_anywhere_but_not_before_a_full_stop():
    letters = HERE
    if letters.fonts.readable("日。") != "日。":
        pytest.skip("no font for CJK is installed here")
    two = letters.width("日日")

    assert letters.wrap("日日日日", two) == ["日日", "日日"]
    assert letters.wrap("日日。日", two) == ["日", "日。", "日"]


@pytest.mark.parametrize(
    "together", ["e\u0301\u0323", "\u0e17\u0e35\u0e48", "\u0915\u094d\u0937", "\U0001f469\u200d\U0001f467", "☕\ufe0f"]
)
def test_a_mark_is_never_torn_from_its_letter_nor_what_is_joined(together):
    assert list(_clusters(together * 3)) == [together] * 3
    assert not any(_may_break(before, after) for before, after in pairwise(together))


def test_an_escape_is_never_torn_in_two():
    lines = BARE.wrap("強" * 9, BARE.width("\\u5f37\\u5f37") + 4)

    assert [line.replace("\u200b", "") for line in lines] == ["\\u5f37\\u5f37"] * 4 + ["\\u5f37"]


def test_what_is_cut_ends_in_dots_after_a_whole_word():
    (line,) = BARE.fitted("a heron at dawn over the wide grey lagoon", 150, 1)

    kept = line.removesuffix(" ...")
    assert line != kept
    assert "a heron at dawn over the wide grey ".startswith(f"{kept} ")


def test_of_a_label_with_several_values_each_keeps_its_beginning():
    lines = BARE.fitted(f"{'a heron ' * 100} · dpmpp_2m_sde · steps 12", 180, 3)

    assert " ".join(lines).startswith("a heron a heron")
    assert " ".join(lines).endswith("... · dpmpp_2m_sde · steps 12")


def test_no_line_begins_with_the_dot_between_two_values():
    for width in range(30, 200, 5):
        assert not any(line.lstrip("\u200e").startswith("·") for line in BARE.wrap("aa · שלום · bb · cc · dd", width))


def test_what_fits_is_not_cut():
    assert BARE.fitted("a heron · 12", 180, 1) == ("a heron · 12",)


@pytest.mark.parametrize("most", [1, 3])
def test_two_thousand_characters_are_cut_to_the_lines_that_there_are(most):
    lines = BARE.fitted("very long " * 200, 300, most)

    assert len(lines) == most
    assert BARE.width(lines[0]) > 200
    assert lines[-1].endswith(" ...")


def test_hebrew_is_read_from_right_to_left():
    (line,) = BARE.wrap("שלום עולם", 400)

    assert place(line, "שלום") > place(line, "עולם")


def test_hebrew_within_english_and_english_within_hebrew_stand_in_the_order_of_the_line():
    (english,), (hebrew,) = BARE.wrap("say שלום twice", 400), BARE.wrap("שלום heron עולם", 400)

    assert place(english, "say") < place(english, "שלום") < place(english, "twice")
    assert place(hebrew, "שלום") > place(hebrew, "heron") > place(hebrew, "עולם")


def test_the_values_of_a_label_stay_in_their_order_whatever_direction_each_has():
    (line,) = BARE.wrap("שלום · 47 · עולם", 400)

    assert place(line, "שלום") < place(line, "47") < place(line, "עולם")


def test_a_line_goes_on_in_the_direction_of_its_paragraph():
    width = BARE.width("שלום עולם") + 2

    first, second = BARE.wrap("שלום עולם heron טוב", width)

    assert place(second, "heron") > place(second, "טוב")
    assert place(first, "שלום") > place(first, "עולם")


def test_an_override_turns_nothing_around():
    (line,) = BARE.wrap("\u202eabc heron", 400)

    assert place(line, "abc") < place(line, "heron")


def test_arabic_letters_are_joined():
    joined, apart = BARE.width("مرحبا"), sum(BARE.width(letter) for letter in "مرحبا")

    assert joined < 0.9 * apart


def test_devanagari_is_shaped():
    if installed().readable("क्ष") != "क्ष":
        pytest.skip("no font for Devanagari is installed here")

    assert HERE.width("क्ष") < 0.8 * (HERE.width("क") + HERE.width("ष"))


def test_a_line_is_written_from_before_to_behind_or_around_its_place():
    ends = [np.flatnonzero(drawn("heron", anchor=anchor, at=(200, 28)).any(axis=0))[[0, -1]] for anchor in "lmr"]

    assert abs(ends[0][0] - 200) <= 2
    assert abs(ends[1].mean() - 200) <= 2
    assert abs(ends[2][1] - 200) <= 3


def test_an_upright_line_is_as_high_as_it_would_be_wide():
    paper = Image.new("RGB", (60, 200), PAPER)

    BARE.write_upright(paper, "dpmpp_2m", (30, 190), INK)

    inked = np.argwhere(np.asarray(paper.convert("L")) < 128)
    high, wide = inked.max(axis=0) - inked.min(axis=0)
    assert abs(high - BARE.width("dpmpp_2m")) <= 4
    assert wide < 16
    assert abs(inked[:, 1].mean() - 30) < 5
    assert inked[:, 0].max() <= 190


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\u200e"])
def test_nothing_is_drawn_of_nothing(text):
    assert not drawn(text).any()
