import pytest
from transformers import CLIPTokenizer

from batchgen.demo.captions import WORDS
from batchgen.demo.tokenizer import BEGIN, END, LENGTH, byte_characters, learn_merges, write_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, WORDS)
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


@pytest.mark.parametrize("word", WORDS)
def test_each_word_of_the_grammar_is_one_token(tokenizer, word):
    assert len(tokenizer(word).input_ids) == 3  # with the token of the beginning and that of the end


ANYTHING = ["a red circle", "Ünïcode", "漢字かな", "🎨🖌️", "עברית", "\u0000\u0007", "e\u0301", "x" * 300, "ﬁ¼½"]


@pytest.mark.parametrize("text", ANYTHING)
def test_no_text_is_unknown(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False).input_ids

    assert tokenizer.unk_token_id not in ids


@pytest.mark.parametrize("text", ["a red circle", "ünïcode", "漢字かな", "🎨", "x" * 300])
def test_text_comes_back_from_its_tokens(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False).input_ids

    assert tokenizer.decode(ids).replace(" ", "") == text.replace(" ", "")


def test_a_prompt_is_padded_with_its_end(tokenizer):
    ids = tokenizer("a red circle", padding="max_length").input_ids

    assert len(ids) == LENGTH
    assert tokenizer.convert_ids_to_tokens(ids)[:1] == [BEGIN]
    assert set(tokenizer.convert_ids_to_tokens(ids[4:])) == {END}


def test_every_byte_has_a_character_of_its_own():
    assert len(set(byte_characters())) == 256


def test_a_word_learnt_later_does_not_take_apart_an_earlier_one():
    assert learn_merges(["ab", "abc", "bc"])[:1] == learn_merges(["ab"])
