import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.diffusion.emphasis import Segment, read_emphasis


def weighed(prompt, emphasis):
    return [(segment.text, pytest.approx(segment.weight)) for segment in read_emphasis(prompt, emphasis)]


@pytest.mark.parametrize(
    ("prompt", "segments"),
    [
        ("", []),
        ("a cat", [("a cat", 1)]),
        ("a (cat)", [("a ", 1), ("cat", 1.1)]),
        ("a (cat:1.3) sits", [("a ", 1), ("cat", 1.3), (" sits", 1)]),
        ("((cat))", [("cat", 1.21)]),
        ("(a (red) cat)", [("a ", 1.1), ("red", 1.21), (" cat", 1.1)]),
        # A number is the weight, whatever stands around it.
        ("((red:1.5) cat:0.5)", [("red", 1.5), (" cat", 0.5)]),
        ("(time 12:30)", [("time 12", 30)]),
        ("(cat:big)", [("cat:big", 1.1)]),
        ("(:1.3)", [(":1.3", 1.1)]),
        ("(cat:-0.5)", [("cat", -0.5)]),
        ("(cat:inf)", [("cat:inf", 1.1)]),
        ("(cat:nan)", [("cat:nan", 1.1)]),
        (r"a \(cat\)", [("a (cat)", 1)]),
        (r"(a \(b\):1.2)", [("a (b)", 1.2)]),
        (r"C:\path", [(r"C:\path", 1)]),
        # What does not match is text.
        ("a (cat", [("a ", 1), ("(cat", 1)]),
        ("a cat)", [("a cat)", 1)]),
        ("smile :) (red:1.3)", [("smile :) (red:1.3)", 1)]),
        ("((a)", [("(a", 1.1)]),
        ("()", []),
        ("[cat]", [("[cat]", 1)]),
        (":) ((a) b)", [(":) (", 1), ("a", 1.1), (" b)", 1)]),
        ("(a) (b (c:1.2)", [("a", 1.1), (" ", 1), ("b ", 1.2), ("(c", 1.2)]),
        ("(a (b:1.5):1.2 c)", [("a ", 1.1), ("b", 1.5), (":1.2 c", 1.1)]),
    ],
)
def test_round_brackets_weigh_as_in_comfyui(prompt, segments):
    assert weighed(prompt, "comfy") == segments


@pytest.mark.parametrize(
    ("prompt", "segments"),
    [
        ("", []),
        ("a (cat)", [("a ", 1), ("cat", 1.1)]),
        ("a [cat]", [("a ", 1), ("cat", 1 / 1.1)]),
        ("a (cat:1.3) sits", [("a ", 1), ("cat", 1.3), (" sits", 1)]),
        # Here a number multiplies what is around it.
        ("((red:1.5) cat:0.5)", [("red", 0.75), (" cat", 0.5)]),
        (r"a \(cat\) \[b\] \\", [("a (cat) [b] \\", 1)]),
        ("a (cat", [("a ", 1), ("cat", 1.1)]),
        ("a [cat", [("a ", 1), ("cat", 1 / 1.1)]),
        ("a cat)", [("a cat)", 1)]),
        ("(cat:big)", [("cat:big", 1.1)]),
        (r"C:\path", [(r"C:\path", 1)]),
    ],
)
def test_brackets_weigh_as_in_a1111(prompt, segments):
    assert weighed(prompt, "a1111") == segments


def test_the_word_break_begins_a_chunk_in_a1111_only():
    assert read_emphasis("a cat BREAK (a dog)", "a1111") == (
        Segment("a cat"),
        Segment("", new_chunk=True),
        Segment("a dog", 1.1),
    )
    assert read_emphasis("a cat BREAK a dog", "comfy") == (Segment("a cat BREAK a dog"),)


@given(st.text())
def test_without_emphasis_the_text_is_itself(prompt):
    assert "".join(segment.text for segment in read_emphasis(prompt, "none")) == prompt


@given(st.text())
def test_text_without_brackets_and_backslashes_is_read_whole(prompt):
    plain = prompt.translate(dict.fromkeys(map(ord, "()[]\\")))
    assert "".join(segment.text for segment in read_emphasis(plain, "comfy")) == plain


@given(st.text(alphabet="ab()[]:\\1.2 \n,\0"), st.sampled_from(["comfy", "a1111"]))
def test_any_text_is_read_and_only_syntax_is_left_out(prompt, emphasis):
    read = "".join(segment.text for segment in read_emphasis(prompt, emphasis))
    left_out = [c for c in prompt if c in "ab"]
    assert [c for c in read if c in "ab"] == left_out
    assert len(read) <= len(prompt)


MANY = 100_000
"""So many that a second look at every symbol for each bracket would take minutes."""


@pytest.mark.parametrize("emphasis", ["comfy", "a1111"])
@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("(" * MANY + "cat" + ")" * MANY, "cat"),
        ("(" * MANY + ")" * MANY, ""),
        ("(cat" * MANY + ":1.0)" * MANY, "cat" * MANY),
        ("cat " * MANY, "cat " * MANY),
        (" " * MANY + ":" * MANY, " " * MANY + ":" * MANY),
        ("(:" * MANY + "cat" + ")" * MANY, ":" * MANY + "cat"),
    ],
    ids=["deep", "empty", "numbers", "words", "colons", "colons in brackets"],
)
def test_a_hundred_thousand_brackets_are_read(prompt, text, emphasis):
    assert "".join(segment.text for segment in read_emphasis(prompt, emphasis)) == text


def test_brackets_of_two_kinds_may_cross_in_a1111():
    assert weighed("(a [b) c] d", "a1111") == [("a ", 1.1), ("b", 1), (" c", 1 / 1.1), (" d", 1)]


def test_white_space_around_the_word_break_belongs_to_it():
    assert [segment.text for segment in read_emphasis(" a \n BREAK BREAK  b ", "a1111")] == [" a", "", "b "]
