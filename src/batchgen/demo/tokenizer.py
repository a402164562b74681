"""The tokenizer of the demo models: CLIP's byte-level BPE over the words of the caption grammar.

Every word of the grammar is one token; any other text falls back to bytes, so nothing is unknown.
"""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Final

BEGIN: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"
"""Also pads, as in CLIP's own tokenizer."""

LENGTH: Final = 77
"""Tokens of a padded prompt, `BEGIN` and `END` among them: what Stable Diffusion pipelines expect."""

_WORD_END: Final = "</w>"

Merge = tuple[str, str]


def byte_characters() -> list[str]:
    """Return the printable character that stands for each byte, as GPT-2 and CLIP chose them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]
    others = [byte for byte in range(256) if byte not in printable]
    shifted = {byte: chr(256 + k) for k, byte in enumerate(others)}
    return [shifted.get(byte, chr(byte)) for byte in range(256)]


def learn_merges(words: Iterable[str]) -> list[Merge]:
    """Return merges that make each ASCII word one token, earlier ones first.

    New merges rank below all others, so they cannot take apart a word that was whole before.
    """
    merges: list[Merge] = []
    for word in words:
        pieces = [*word[:-1], word[-1] + _WORD_END]
        for merge in merges:
            pieces = _merged(pieces, merge)
        while len(pieces) > 1:
            merges.append((pieces[0], pieces[1]))
            pieces = _merged(pieces, merges[-1])
    return merges


def _merged(pieces: list[str], merge: Merge) -> list[str]:
    """Join the pair wherever it stands in the pieces, from left to right."""
    if merge not in pairwise(pieces):
        return pieces
    joined: list[str] = []
    for piece in pieces:
        if joined and (joined[-1], piece) == merge:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def write_tokenizer(folder: Path, words: Iterable[str]) -> None:
    """Write the files that `CLIPTokenizer.from_pretrained(folder)` reads."""
    merges = learn_merges(words)
    single = byte_characters()
    tokens = [*single, *(c + _WORD_END for c in single), *(a + b for a, b in merges), BEGIN, END]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    special = {"bos_token": BEGIN, "eos_token": END, "pad_token": END, "unk_token": END}
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": LENGTH,
        "add_prefix_space": False,
        "do_lower_case": True,
        **special,
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "vocab.json", vocabulary)
    _write_json(folder / "special_tokens_map.json", special)
    _write_json(folder / "tokenizer_config.json", settings)
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
