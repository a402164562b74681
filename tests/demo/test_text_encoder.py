from random import Random

import pytest
import torch
from transformers import CLIPTokenizer

from batchgen.demo.captions import WORDS, caption
from batchgen.demo.drawings import COLOURS, CONTOURS, one_shape, sample
from batchgen.demo.text_encoder import labels, new_text_encoder, token_ids
from batchgen.demo.tokenizer import LENGTH, write_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, WORDS)
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def test_every_caption_leaves_padding_from_position_20(tokenizer):
    rng = Random("lengths")
    texts = [caption(sample(rng), rng) for _ in range(1000)]

    assert max(len(ids) for ids in tokenizer(texts).input_ids) <= 20


def test_labels_say_what_the_caption_says_and_ignore_the_rest():
    scene = one_shape(Random("labels"), ("red", "star", "blue"), size="small", position="at the top")

    told = labels(scene, "a small red star at the top on a blue background")
    untold = labels(scene, "a star")

    star, red, blue = list(CONTOURS).index("star"), list(COLOURS).index("red"), list(COLOURS).index("blue")
    assert told == [star, red, blue, 0, 0, 3, -100, -100]
    assert untold == [star, -100, -100, 0, 1, 0, -100, -100]


def test_short_and_long_padding_give_the_same_states(tokenizer):
    model = new_text_encoder(tokenizer).eval()
    text = ["a red star on a blue background"]

    with torch.no_grad():
        short, long = (model(token_ids(tokenizer, text, n)).last_hidden_state for n in (24, LENGTH))

    assert torch.allclose(short, long[:, :24], atol=1e-5)


def test_equal_seeds_give_equal_first_weights_and_leave_the_global_generator_alone(tokenizer):
    before = torch.get_rng_state()
    first, again = (new_text_encoder(tokenizer, seed=1).state_dict() for _ in range(2))

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert torch.equal(before, torch.get_rng_state())
