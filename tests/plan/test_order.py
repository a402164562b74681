from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.manifest import manifest_text
from batchgen.plan.order import batches, chunks_of, in_order

SHORT = "a red circle on a blue background"
LONG = ", ".join(["a red circle on a blue background, painted with care"] * 10)


def chunks(place, prompt, **said):
    """Return the estimate for one prompt."""
    (cell,) = place.sweep(manifest_text({"prompts": [{"prompt": prompt, **said}]})).cells
    return chunks_of(cell.job)


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("", 1),
        ("x", 1),
        ("word " * 75, 1),
        ("word " * 76, 2),
        ("word, " * 75, 2),
        ("word " * 151, 3),
        ("(word:1.25) " * 75, 1),
        ("\\(word\\) " * 75, 1),
        ("1" * 76, 2),
        ("\N{CJK UNIFIED IDEOGRAPH-732B}" * 76, 2),
        ("a" * 1000, 1),
    ],
)
def test_words_and_signs_are_about_as_many_as_tokens(place, prompt, pieces):
    assert chunks(place, prompt, guidance_scale=1) == (pieces, 0)


def test_a_negative_prompt_counts_where_there_is_guidance(place):
    assert chunks(place, SHORT) == (1, 1)
    assert chunks(place, SHORT, negative_prompt=LONG) == (1, 2)
    assert chunks(place, SHORT, negative_prompt=LONG, guidance_scale=1) == (1, 0)


def test_flux_takes_longer_texts_at_once(place):
    assert chunks(place, LONG, model="flow") == (1, 1)


def cut(place, prompts, order="grouped"):
    sweep = place.sweep(manifest_text({"prompts": prompts, "seeds": "0..2", "sweep": {"steps": [4, 8]}}))
    return list(batches(in_order(sweep.cells, order), 4))


@pytest.mark.parametrize("order", ["grouped", "breadth"])
def test_texts_of_a_batch_are_of_like_length_and_otherwise_as_the_manifest_says(somewhere, order):
    prompts = [f"{SHORT if i % 2 else LONG} {i}" for i in range(8)]

    found = cut(somewhere, prompts, order)

    assert all(len({chunks_of(cell.job) for cell in batch}) == 1 for batch in found)
    assert {len(batch) for batch in found} == {4}
    lengths = [cell.job.text.prompt for batch in found for cell in batch if cell.job.sampling.steps == 4]
    if order == "grouped":
        assert lengths == [prompt for prompt in prompts[::2] + prompts[1::2] for _ in range(3)]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2)), min_size=1, max_size=8))
def test_no_length_takes_more_batches_than_it_fills(somewhere, lengths):
    prompts = [
        {"prompt": f"{'word ' * 75 * (one - 1)}{i}", "negative_prompt": "word " * 75 * other}
        for i, (one, other) in enumerate(lengths)
    ]

    found = cut(somewhere, prompts)

    assert len(found) == 2 * sum(ceil(3 * lengths.count(each) / 4) for each in set(lengths))
