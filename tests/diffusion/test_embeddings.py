"""Vectors in place of tokens. An embedding that holds a word's own vector must read as the word does."""

import pytest
import torch
from safetensors.torch import save_file

from batchgen.diffusion.conditioning import Wording, clip_frame, lay_out
from batchgen.diffusion.embeddings import Inversions, all_are_named, read_inversion
from batchgen.diffusion.engine import DiffusionEngine
from batchgen.diffusion.flux import FluxDenoiser
from batchgen.diffusion.unet import UNetDenoiser
from batchgen.errors import ModelError
from batchgen.job import File
from batchgen.parts import Text

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def sd15(tiny):
    return UNetDenoiser(tiny("sd15"), torch.float32, CPU, "full")


@pytest.fixture(scope="module")
def sdxl(tiny):
    return UNetDenoiser(tiny("sdxl"), torch.float32, CPU, "full")


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


def words_of(denoiser, text, number=""):
    """The encoder's own vectors for the words of a text."""
    ids = denoiser._parts[f"tokenizer{number}"](text, add_special_tokens=False).input_ids
    table = denoiser._parts[f"text_encoder{number}"].get_input_embeddings().weight
    return table[ids].detach().clone()


@pytest.fixture
def write(tmp_path):
    """Write tensors as somebody's embedding, and return the file that a job has."""

    def file(name, tensors, suffix=".safetensors"):
        path = tmp_path / f"{name}{suffix}"
        save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
        return File(digest=str(path), name=name, path=str(path))

    return file


def read(denoiser, text, *files, emphasis="comfy"):
    return denoiser.encode(Wording(text=text, emphasis=emphasis, embeddings=files))


@pytest.mark.parametrize("layout", ["emb_params", "string_to_param", "learned_embeds", "one_vector"])
def test_an_embedding_of_words_reads_as_the_words_do(sd15, write, layout):
    vectors = words_of(sd15, "red circle")
    held = {
        "emb_params": ({"emb_params": vectors}, ".safetensors"),
        "string_to_param": ({"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "step": 9}, ".pt"),
        "learned_embeds": ({"<cosy>": vectors}, ".bin"),
        "one_vector": ({"<cosy>": vectors[0]}, ".pt"),
    }[layout]
    cosy = write("cosy", *held)
    plain = "a red circle on blue" if layout != "one_vector" else "a red on blue"

    found, wanted = read(sd15, "a embedding:cosy on blue", cosy), read(sd15, plain)

    assert torch.equal(found.states, wanted.states)
    assert (found.tokens, found.chunks) == (wanted.tokens, 1)


def test_each_encoder_of_sdxl_takes_its_own_part(sdxl, write):
    parts = {"clip_l": words_of(sdxl, "red circle"), "clip_g": words_of(sdxl, "red circle", "_2")}
    cosy = write("cosy", parts)

    found, wanted = read(sdxl, "a embedding:cosy", cosy), read(sdxl, "a red circle")

    assert torch.equal(found.states, wanted.states)
    assert torch.equal(found.pooled, wanted.pooled)


def test_flux_reads_an_embedding_of_both_encoders(tiny, write):
    flux = FluxDenoiser(tiny("flux"), torch.float32, CPU, "full")
    dog = {"clip_l": words_of(flux, "dog"), "t5xxl": words_of(flux, "dog", "_2")}
    found, wanted = read(flux, "embedding:dog", write("dog", dog)), read(flux, "dog")
    assert torch.equal(found.pooled, wanted.pooled)
    assert torch.equal(found.states, wanted.states)


@pytest.mark.parametrize(("emphasis", "text"), [("comfy", "a (embedding:cosy:1.4)"), ("a1111", "a (cosy:1.4)")])
def test_its_vectors_weigh_what_its_name_weighs(sd15, write, emphasis, text):
    cosy = write("cosy", {"emb_params": words_of(sd15, "red circle")})
    wanted = read(sd15, "a (red circle:1.4)", emphasis=emphasis)
    assert torch.equal(read(sd15, text, cosy, emphasis=emphasis).states, wanted.states)


def test_with_a1111_a_bare_word_is_one_and_part_of_a_word_is_none(sd15, write):
    cosy, night = (
        write(name, {"emb_params": words_of(sd15, word)}) for name, word in (("cosy", "red"), ("n-1", "cat"))
    )
    plain = read(sd15, "a red, cat; cosyness", emphasis="a1111")
    assert torch.equal(read(sd15, "a Cosy, n-1; cosyness", cosy, night, emphasis="a1111").states, plain.states)
    # ComfyUI wants the prefix.
    assert torch.equal(read(sd15, "a cosy", cosy).states, read(sd15, "a cosy").states)


def test_the_name_may_have_folder_and_ending(sd15, write):
    cosy = write("cosy", {"emb_params": words_of(sd15, "red")})
    assert torch.equal(read(sd15, "a embedding:mine/cosy.pt, dog", cosy).states, read(sd15, "a red, dog").states)


def test_the_table_of_words_stays_what_it_was(sd15, write):
    table = sd15._parts["text_encoder"].get_input_embeddings()
    before, plain = table.weight.detach().clone(), read(sd15, "a red circle").states
    read(sd15, "embedding:odd", write("odd", {"emb_params": torch.full((3, 16), 2.0)}))
    assert torch.equal(table.weight, before)
    assert not table._forward_hooks
    assert torch.equal(read(sd15, "a red circle").states, plain)


@pytest.mark.parametrize("emphasis", ["comfy", "a1111"])
def test_its_vectors_stay_together_at_the_end_of_a_chunk(sd15, write, emphasis):
    cosy = write("cosy", {"emb_params": torch.randn(4, 16, generator=torch.Generator().manual_seed(1))})
    tokenizer, encoder = sd15._parts["tokenizer"], sd15._parts["text_encoder"]
    vectors = Inversions().vectors([cosy], emphasis, key="clip_l", width=16)
    wording = Wording(text="red " * 73 + "embedding:cosy", emphasis=emphasis)
    chunks = lay_out(wording, tokenizer, clip_frame(tokenizer, encoder), vectors)
    assert [[token.id for token in chunk if token.id < 0] for chunk in chunks] == [[], [-1, -2, -3, -4]]


def test_one_longer_than_a_chunk_is_read_whole(sd15, write):
    long = write("long", {"emb_params": torch.ones(100, 16)})
    for emphasis in ("comfy", "a1111"):
        found = read(sd15, "a embedding:long", long, emphasis=emphasis)
        assert found.tokens == 101
        assert found.length == found.chunks * 77


def test_vectors_of_another_width_are_refused_with_both_numbers(sdxl, sd15, write):
    cosy = write("cosy", {"emb_params": torch.ones(1, 16)})
    with pytest.raises(ModelError, match=r"^\S+cosy\.safetensors: its vectors have 16 numbers, .* takes 24$"):
        read(sdxl, "embedding:cosy", cosy)
    with pytest.raises(ModelError, match="has vectors for clip_g, other, and none for clip_l"):
        read(sd15, "embedding:two", write("two", {"clip_g": torch.ones(1, 24), "other": torch.ones(1, 16)}))


BAD = {
    "empty": {},
    "scalar": {"emb_params": torch.tensor(1.0)},
    "deep": {"emb_params": torch.ones(1, 1, 16)},
    "none": {"emb_params": torch.ones(0, 16)},
    "uneven": {"clip_l": torch.ones(1, 16), "clip_g": torch.ones(2, 24)},
    "infinite": {"emb_params": torch.full((1, 16), float("inf"))},
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("kind", BAD)
def test_a_file_without_usable_vectors_is_refused_in_a_line(write, tmp_path, kind, suffix):
    file = write(kind, BAD[kind], suffix)
    with pytest.raises(ModelError) as said:
        read_inversion(tmp_path / f"{kind}{suffix}")
    assert str(said.value).startswith(file.path)
    assert "\n" not in str(said.value)


class Evil:
    def __reduce__(self):
        return (open, ("/tmp/evil", "w"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"<html>", b"\x80\x04.", "evil"])
def test_a_pickle_is_read_as_weights_alone(tmp_path, content):
    path = tmp_path / "x.pt"
    torch.save({"emb_params": Evil()}, path) if content == "evil" else path.write_bytes(content)
    with pytest.raises(ModelError, match=r"^[^\n]*cannot be read[^\n]*$"):
        read_inversion(path)


def test_an_embedding_that_no_prompt_names_is_not_left_out_in_silence():
    cosy = File(digest="c", name="cosy", path="/x/cosy.pt")
    all_are_named([cosy], Text(prompt="a dog", negative_prompt="embedding:cosy"))
    with pytest.raises(ModelError, match="'cosy' is named by neither prompt"):
        all_are_named([cosy], Text(prompt="a cosy dog, embedding:cosier"))


def test_a_session_renders_with_it_and_its_neighbours_without(tiny, runtime, job_for, sd15, write):
    session = DiffusionEngine(runtime).open(tiny("sd15"))
    cosy = write("cosy", {"emb_params": words_of(sd15, "red")})

    def picture(prompt, **fields):
        return session.render([job_for(tiny("sd15"), prompt=prompt, **fields)], lambda _: None)[0]

    plain = picture("a red circle")
    found = picture("a embedding:cosy circle", embeddings=(cosy,))
    assert (found.pixels == plain.pixels).all()
    assert found.facts["prompt_tokens"] == plain.facts["prompt_tokens"] == 3
    with pytest.raises(ModelError, match="named by neither prompt"):
        picture("a red circle", embeddings=(cosy,))
