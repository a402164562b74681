"""Prompts with every kind of character, through the real model."""

import json

from transformers.models.clip.tokenization_clip import CLIPTokenizer

from batchgen.shipped import shipped_model
from batchgen.store import images


def test_hostile_prompts_reach_record_picture_and_tokenizer_exactly(person, hostile_prompts):
    person.writes("m.json", json.dumps({"prompts": list(hostile_prompts), "set": {"emphasis": "none", "steps": 1}}))

    said = person.types("run", "m.json", SECRET="canary-4711")

    assert said.code == 0, said.err
    tokenizer = CLIPTokenizer.from_pretrained(shipped_model("demo_shapes") / "tokenizer")
    seen = {}
    for path in person.pictures("outputs/m"):
        record = images.record_in(path)
        seen[record["recipe"]["prompt"]] = record["execution"]["prompt_tokens"]
    expected = {text: len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in hostile_prompts}
    assert seen == expected
