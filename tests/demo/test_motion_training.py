"""The parts demo_motion is trained with."""

from itertools import islice
from random import Random

import pytest
import torch
from diffusers import CogVideoXPipeline

from batchgen.demo.fitting import Plan
from batchgen.demo.motion import export
from batchgen.demo.motion_captions import WORDS, caption
from batchgen.demo.motion_drawings import COLOURS, MOTIONS, SHAPES, move_of, sample, stream
from batchgen.demo.motion_text import LENGTH, labels, new_text_encoder, new_tokenizer
from batchgen.demo.motion_transformer import Lessons, new_transformer, scheduler, train_transformer, transformer_fit
from batchgen.demo.motion_vae import drawn, encoded, new_vae, psnr, tune_decoder
from batchgen.demo.text_encoder import token_ids

# diffusers hands a tensor to numpy in a way that numpy 2 finds old-fashioned.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def tokenizer():
    torch.set_num_threads(1)
    return new_tokenizer()


def test_every_word_is_one_token_and_any_text_is_read(tokenizer):
    words = [word for word in WORDS if word != ","]
    counts = [len(tokenizer(word).input_ids) - 1 for word in words]  # less the end

    assert counts == [1] * len(words)
    assert len(tokenizer("an über-fast 漢字").input_ids) > 4


def test_every_caption_fits(tokenizer):
    rng = Random("lengths")
    texts = [caption(sample(rng), rng) for _ in range(1000)]

    assert max(len(ids) for ids in tokenizer(texts).input_ids) < LENGTH
    assert not any(tokenizer.unk_token_id in ids for ids in tokenizer(texts).input_ids)


def test_labels_say_what_the_caption_says_and_ignore_the_rest():
    move = move_of(Random("labels"), ("red", "ring", "blue"), "up")
    ring, red, blue, up = SHAPES.index("ring"), COLOURS.index("red"), COLOURS.index("blue"), MOTIONS.index("up")

    assert labels(move, "A red ring going upwards, blue background") == [ring, red, blue, up]
    assert labels(move, "a ring") == [ring, -100, -100, -100]


def test_equal_seeds_give_equal_first_weights_and_leave_the_global_generator_alone(tokenizer):
    before = torch.get_rng_state()
    makers = (new_vae, new_transformer, lambda: new_text_encoder(tokenizer))
    for make in makers:
        first, again = (make().state_dict() for _ in range(2))

        assert all(torch.equal(first[name], again[name]) for name in first)
    assert torch.equal(before, torch.get_rng_state())


def test_nine_frames_become_three_latent_frames():
    pixels = drawn(list(islice(stream("latents"), 2)))

    assert encoded(new_vae(), pixels).shape == (2, 8, 3, 12, 12)


def test_tuning_the_decoder_helps_and_leaves_the_latents_alone(tmp_path):
    pixels = drawn(list(islice(stream("tuning"), 4)))
    vae = new_vae()
    before, latents = psnr(vae, pixels), encoded(vae, pixels)

    tuned = tune_decoder(vae, tmp_path / "decoder.pt", steps=4)

    assert torch.equal(encoded(tuned, pixels), latents)
    assert psnr(tuned, pixels) > before


def test_the_last_noise_level_has_no_signal():
    assert scheduler().alphas_cumprod[-1] == 0.0


def test_a_step_always_gets_the_same_lesson():
    moves = list(islice(stream("lessons"), 50))
    lessons = Lessons(latents=torch.arange(50.0)[:, None, None, None, None].expand(-1, 3, 8, 12, 12), moves=moves)

    first, again, other = (lessons.batch(step, 8) for step in (3, 3, 4))

    assert first[1] == again[1] != other[1]
    assert torch.equal(first[0], again[0])


def test_a_trained_model_becomes_a_folder_that_renders(tokenizer, tmp_path):
    moves = list(islice(stream("folder"), 20))
    text_encoder = new_text_encoder(tokenizer)
    fit = transformer_fit(new_transformer(), text_encoder, tmp_path / "transformer.pt", steps=2)
    fit.plan = Plan(steps=2)
    train_transformer(fit, tokenizer, Lessons(latents=torch.zeros(20, 3, 8, 12, 12), moves=moves))

    export(tmp_path / "model", vae=new_vae(), text_encoder=text_encoder, transformer=fit.modules["transformer"])

    pipeline = CogVideoXPipeline.from_pretrained(tmp_path / "model", local_files_only=True, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    ids = token_ids(pipeline.tokenizer, ["a red circle moving right"], LENGTH)
    assert torch.equal(ids, token_ids(tokenizer, ["a red circle moving right"], LENGTH))
    frames = pipeline("a red circle", num_inference_steps=1, max_sequence_length=LENGTH, output_type="np").frames
    assert frames.shape == (1, 9, 48, 48, 3)
