import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchgen.diffusion.conditioning import Encoded, Remembered, Wording, clip_frame, lay_out
from batchgen.diffusion.flux import FluxDenoiser
from batchgen.diffusion.unet import UNetDenoiser
from batchgen.errors import ModelError

CPU = torch.device("cpu")
HOSTILE = [
    "",
    "a, red; circle = 'on' \"blue\"",
    "${oc.env:HOME} {a|b} ??? <lora:x:1> [[x]]",
    "émoji 🎨🦊 عربى שלום\u202e\u202d \n \t tab",
    "%s {0} \\n \\( ) :) (((",
    "a red circle, " * 200,
]


class Spy:
    """A tokenizer that writes down which texts it was given."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.texts = []

    def __call__(self, text, **options):
        self.texts.append(text)
        return self._tokenizer(text, **options)

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)


@pytest.fixture(scope="module")
def sd15(tiny):
    return UNetDenoiser(tiny("sd15"), torch.float32, CPU, "full")


@pytest.fixture(scope="module")
def sdxl(tiny):
    return UNetDenoiser(tiny("sdxl"), torch.float32, CPU, "full")


@pytest.fixture(scope="module")
def flux(tiny):
    return FluxDenoiser(tiny("flux"), torch.float32, CPU, "full")


def states(denoiser, text, **how):
    return denoiser.encode(Wording(text=text, **how)).states


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("emphasis", ["none", "comfy", "a1111"])
@pytest.mark.parametrize("text", ["", "a red circle", "a dog, on blue background"])
def test_a_short_plain_prompt_is_encoded_as_diffusers_does(tiny, sd15, text, emphasis):
    pipe = StableDiffusionPipeline.from_pretrained(tiny("sd15").path, local_files_only=True)
    wanted, _ = pipe.encode_prompt(text, CPU, 1, do_classifier_free_guidance=False)
    torch.testing.assert_close(states(sd15, text, emphasis=emphasis), wanted)


@pytest.mark.parametrize("text", ["", "a red circle"])
@pytest.mark.parametrize("clip_skip", [1, 3])
def test_sdxl_joins_both_encoders_and_takes_the_second_ones_summary(tiny, sdxl, text, clip_skip):
    pipe = StableDiffusionXLPipeline.from_pretrained(tiny("sdxl").path, local_files_only=True)
    # diffusers counts how many layers more than usual are skipped.
    more = None if clip_skip == 1 else clip_skip - 2
    wanted, _, pooled, _ = pipe.encode_prompt(
        text, device=CPU, num_images_per_prompt=1, do_classifier_free_guidance=False, clip_skip=more
    )
    found = sdxl.encode(Wording(text=text, clip_skip=clip_skip))
    torch.testing.assert_close(found.states, wanted)
    torch.testing.assert_close(found.pooled, pooled)


def test_sdxls_second_encoder_is_padded_with_its_own_token(tiny, sdxl):
    first, second = (
        clip_frame(sdxl._parts[f"tokenizer{number}"], sdxl._parts[f"text_encoder{number}"]) for number in ("", "_2")
    )
    assert first.pad == first.end
    assert second.pad != second.end


def test_skipping_the_last_layer_changes_sd15_but_not_sdxl(sd15, sdxl):
    assert not torch.equal(states(sd15, "a cat"), states(sd15, "a cat", clip_skip=2))
    assert torch.equal(states(sdxl, "a cat"), states(sdxl, "a cat", clip_skip=2))
    assert not torch.equal(states(sdxl, "a cat"), states(sdxl, "a cat", clip_skip=3))


def test_sd15_normalises_the_states_of_a_skipped_layer(sd15):
    encoder = sd15._parts["text_encoder"]
    ids = sd15._parts["tokenizer"]("a cat", padding="max_length", return_tensors="pt").input_ids
    hidden = encoder(ids, output_hidden_states=True).hidden_states
    torch.testing.assert_close(states(sd15, "a cat", clip_skip=2), encoder.final_layer_norm(hidden[-2]))


def test_skipping_more_layers_than_there_are_is_refused(sd15):
    with pytest.raises(ModelError, match="has 3 layers"):
        states(sd15, "a cat", clip_skip=4)


def test_a_weight_moves_a_tokens_state_away_from_the_empty_prompts(sd15):
    plain, empty = states(sd15, "a red circle"), states(sd15, "")
    weighed = states(sd15, "a (red:1.5) circle")

    moved = empty + 1.5 * (plain - empty)
    torch.testing.assert_close(weighed[:, 2], moved[:, 2])
    others = [k for k in range(77) if k != 2]
    assert torch.equal(weighed[:, others], plain[:, others])


def test_a_weight_of_zero_says_nothing_at_that_token(sd15):
    torch.testing.assert_close(states(sd15, "a (red:0) circle")[:, 2], states(sd15, "")[:, 2])


def test_in_a1111_a_weight_multiplies_and_the_mean_is_kept(sd15):
    plain, weighed = states(sd15, "a red circle"), states(sd15, "a (red:1.5) circle", emphasis="a1111")

    wanted = plain.clone()
    wanted[:, 2] *= 1.5
    wanted *= plain.mean() / wanted.mean()
    torch.testing.assert_close(weighed, wanted)


def test_weights_leave_the_summary_alone(sdxl):
    plain, weighed = sdxl.encode(Wording(text="a red circle")), sdxl.encode(Wording(text="a (red:1.5) circle"))
    torch.testing.assert_close(weighed.pooled, plain.pooled)
    assert not torch.allclose(weighed.states, plain.states)


def test_a_long_prompt_is_encoded_in_chunks_as_if_each_were_alone(sd15):
    words = ["red", "blue", "green", "cat", "dog"] * 40
    found = sd15.encode(Wording(text=" ".join(words)))

    alone = [states(sd15, " ".join(words[k : k + 75])) for k in range(0, 200, 75)]
    assert (found.tokens, found.chunks, found.length) == (200, 3, 3 * 77)
    torch.testing.assert_close(found.states, torch.cat(alone, dim=1))


def test_the_summary_of_a_long_prompt_is_its_first_chunks(sdxl):
    words = ["red", "blue"] * 60
    first = sdxl.encode(Wording(text=" ".join(words[:75])))
    torch.testing.assert_close(sdxl.encode(Wording(text=" ".join(words))).pooled, first.pooled)


def test_a_word_is_moved_to_the_next_chunk_rather_than_cut(sd15):
    found = sd15.encode(Wording(text="red " * 73 + "(a cat on:1.2)"))
    assert (found.tokens, found.chunks) == (76, 2)
    cut = states(sd15, "red " * 73)
    torch.testing.assert_close(found.states[:, :77], cut)


@pytest.mark.parametrize("text", HOSTILE)
def test_without_emphasis_the_tokenizer_gets_exactly_the_prompt(sd15, text):
    spy = Spy(sd15._parts["tokenizer"])
    lay_out(Wording(text=text, emphasis="none"), spy, clip_frame(spy, sd15._parts["text_encoder"]))
    assert "".join(spy.texts) == text
    assert len(spy.texts) <= 1


@given(st.text(st.characters(exclude_characters="()\\", exclude_categories=["Cs"])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_with_emphasis_the_tokenizer_gets_a_prompt_without_brackets_exactly(sd15, text):
    spy = Spy(sd15._parts["tokenizer"])
    lay_out(Wording(text=text), spy, clip_frame(spy, sd15._parts["text_encoder"]))
    assert "".join(spy.texts) == text


def test_with_emphasis_the_tokenizer_gets_the_words_without_the_syntax(sd15):
    spy = Spy(sd15._parts["tokenizer"])
    lay_out(
        Wording(text=r"a (red:1.3) ((circle)) \(not this\), {a|b} ${x}"),
        spy,
        clip_frame(spy, sd15._parts["text_encoder"]),
    )
    assert "".join(spy.texts) == "a red circle (not this), {a|b} ${x}"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("emphasis", ["comfy", "a1111", "none"])
def test_no_token_of_any_prompt_is_dropped(sd15, text, emphasis):
    tokenizer = sd15._parts["tokenizer"]
    spy = Spy(tokenizer)
    chunks = lay_out(Wording(text=text, emphasis=emphasis), spy, clip_frame(spy, sd15._parts["text_encoder"]))
    given_texts = spy.texts[1:] if emphasis == "a1111" else spy.texts  # the first asks for the comma
    wanted = [each for part in given_texts for each in tokenizer(part, add_special_tokens=False).input_ids]
    assert [token.id for chunk in chunks for token in chunk] == wanted


def test_t5_reads_a_prompt_of_any_length_and_pads_short_ones_to_512(flux):
    assert flux.encode(Wording(text="a cat")).length == 512
    long = flux.encode(Wording(text="cat " * 600))
    assert (long.length, long.tokens, long.chunks) == (601, 600, 0)


def test_flux_weighs_t5s_states_and_not_the_summary(flux):
    plain, weighed = flux.encode(Wording(text="a red circle")), flux.encode(Wording(text="a (red:1.5) circle"))
    empty = states(flux, "")
    torch.testing.assert_close(weighed.states[:, 1], (empty + 1.5 * (plain.states - empty))[:, 1])
    torch.testing.assert_close(weighed.pooled, plain.pooled)


def encoded(tokens):
    return Encoded(states=torch.zeros(1, tokens, 1), tokens=0, chunks=1)


def test_the_least_recently_used_text_is_forgotten_when_there_is_no_room():
    remembered = Remembered(limit=4 * 25)
    for word in ("a", "b"):
        remembered.put(Wording(text=word), encoded(10))
    assert remembered.get(Wording(text="a")) is not None
    remembered.put(Wording(text="c"), encoded(10))
    held = [word for word in ("a", "b", "c") if remembered.get(Wording(text=word)) is not None]
    assert held == ["a", "c"]


def test_a_text_larger_than_the_room_is_remembered_until_the_next():
    remembered = Remembered(limit=1)
    remembered.put(Wording(text="a"), encoded(10))
    assert remembered.get(Wording(text="a")) is not None


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_a_tokenizer_that_says_nothing_of_lengths_encodes_as_one_that_does(tmp_path, tiny, write_model, family):
    model = write_model(tmp_path / "model", family)
    for number in ("", "_2"):
        file = Path(model.path, f"tokenizer{number}", "tokenizer_config.json")
        if file.is_file():
            settings = json.loads(file.read_text())
            settings.pop("model_max_length", None)
            file.write_text(json.dumps(settings))
    kind = FluxDenoiser if family == "flux" else UNetDenoiser
    silent, usual = (kind(each, torch.float32, CPU, "full") for each in (model, tiny(family)))
    assert silent._parts["tokenizer"].model_max_length > 10**9
    words = Wording(text="a red circle " * 40)
    assert torch.equal(silent.encode(words).states, usual.encode(words).states)
