from hypothesis import given
from hypothesis import strategies as st

from batchgen.diffusion.chunks import Frame, Token, a1111_chunks, comfy_chunks
from batchgen.diffusion.emphasis import Segment


def letters(text):
    """Each character is a token: its code."""
    return [ord(c) for c in text]


def text_of(chunk):
    return "".join(chr(token.id) for token in chunk)


def comfy(*texts, room=10):
    return [text_of(chunk) for chunk in comfy_chunks([Segment(text) for text in texts], letters, room)]


def a1111(text, room=10):
    return [text_of(chunk) for chunk in a1111_chunks([Segment(text)], letters, room)]


def test_an_empty_prompt_is_one_empty_chunk():
    assert comfy_chunks([], letters, 10) == ((),)
    assert a1111_chunks([], letters, 10) == ((),)


def test_a_long_segment_is_cut_where_the_chunk_ends():
    assert comfy("abcdefghijklmnopqrstuvwxyz") == ["abcdefghij", "klmnopqrst", "uvwxyz"]


def test_a_segment_under_eight_tokens_moves_to_the_next_chunk_whole():
    assert comfy("abcdef", "1234567") == ["abcdef", "1234567"]


def test_a_segment_of_eight_tokens_is_cut():
    assert comfy("abcdef", "12345678") == ["abcdef1234", "5678"]


def test_a_chunk_that_is_just_full_has_no_empty_one_after_it():
    assert comfy("abcdefghij") == ["abcdefghij"]


def test_a_full_chunk_is_followed_by_a_new_one():
    assert comfy("abcdefghij", "12") == ["abcdefghij", "12"]


def test_tokens_keep_their_weight_in_whichever_chunk_they_are():
    chunks = comfy_chunks([Segment("ab"), Segment("12345678", 1.3)], letters, 6)
    assert chunks[1] == tuple(Token(ord(c), 1.3) for c in "5678")


@given(st.lists(st.text(alphabet="abcdefg", max_size=30), max_size=8))
def test_no_token_is_lost_and_no_chunk_is_too_long(texts):
    chunks = comfy(*texts)
    assert "".join(chunks) == "".join(texts)
    assert max(map(len, chunks)) <= 10


def test_a1111_gives_back_what_stands_after_a_near_comma():
    assert a1111("abcdef,ghijk") == ["abcdef,", "ghijk"]


def test_a1111_does_not_look_further_back_than_twenty_tokens():
    text = "a," + "b" * 30
    assert a1111(text, room=25) == [text[:25], text[25:]]


def test_a1111_leaves_a_full_chunk_alone_when_a_comma_follows():
    assert a1111("ab,defghij,kl") == ["ab,defghij", ",kl"]


@given(st.text(alphabet="ab,", max_size=90))
def test_a1111_loses_no_token_and_makes_no_chunk_too_long(text):
    chunks = a1111(text, room=10)
    assert "".join(chunks) == text
    assert max(map(len, chunks)) <= 10


def test_a_chunk_is_framed_by_first_and_last_token_and_padding():
    frame = Frame(length=6, begin=1, end=2, pad=0)
    assert [token.id for token in frame.around((Token(7, 1.5),))] == [1, 7, 2, 0, 0, 0]
    assert [token.weight for token in frame.around((Token(7, 1.5),))] == [1, 1.5, 1, 1, 1, 1]
    assert frame.room == 4
