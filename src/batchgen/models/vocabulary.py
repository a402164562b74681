"""Vocabularies: the words that CLIP and T5 count in, which no checkpoint file holds and batchgen may not carry.

Every program of this field keeps them somewhere: diffusers folders and the Hugging Face cache as `tokenizer/`, ComfyUI
as `comfy/sd1_tokenizer/`, Forge under `backend/huggingface/`. The same vocabulary is written in several ways; what is
read here is brought into one form, so that a model is the same model whoever's folder the words came from.
"""

import base64
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

Reader = Literal["clip", "t5"]

_NAMES = (
    "",
    "tokenizer",
    "tokenizer_2",
    "tokenizer_3",
    "sd1_tokenizer",
    "t5_tokenizer",
    "comfy/sd1_tokenizer",
    "comfy/text_encoders/sd1_tokenizer",
    "comfy/text_encoders/t5_tokenizer",
)
"""Folders of tokenizers, in a folder that may hold one."""

_PATTERNS = ("backend/huggingface/*/*/tokenizer", "backend/huggingface/*/*/tokenizer_2")
"""Where Forge has them."""

_UP = 3
"""How many folders above a models folder are looked into: ComfyUI's own lies one above, A1111's too."""

_BEGIN, _END = "<|startoftext|>", "<|endoftext|>"
_UNUSED_ROWS = 256
"""T5's embedding is padded to a round number of rows: 32,128 for 32,000 pieces and 100 marks of its own."""

Texts = Mapping[str, str]
"""File names of a tokenizer folder, and what is in them."""


def find_vocabulary(reader: Reader, rows: int, places: Iterable[Path], *, pad: int | None = None) -> Texts | None:
    """Return the files of a tokenizer whose vocabulary has a word for each of the `rows` of a text encoder's embedding.

    `pad` is the token that short prompts are filled up with; None is the last one. None is returned if nowhere in
    `places` is a vocabulary that fits.
    """
    for place in places:
        try:
            found = _clip(place, rows, pad) if reader == "clip" else _t5(place, rows)
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, struct.error):
            continue  # not a vocabulary that can be read; the next may be
        if found:
            return found
    return None


def places(near: Path, folders: Sequence[Path], cache: Path) -> Iterator[Path]:
    """Yield the folders in which a vocabulary may lie: beside a file, in the Hugging Face cache, in ComfyUI."""
    yield from _inside(near)
    for snapshot in sorted(cache.glob("models--*/snapshots/*")):
        yield from (snapshot / name for name in _NAMES[:4])
    seen = {near}
    for folder in (*folders, near):
        for above in (folder, *list(folder.parents)[:_UP]):
            if above not in seen:
                seen.add(above)
                yield from _inside(above)


def _inside(folder: Path) -> Iterator[Path]:
    yield from (folder / name for name in _NAMES)
    for pattern in _PATTERNS:
        yield from sorted(folder.glob(pattern))


def _clip(folder: Path, rows: int, pad: int | None) -> Texts | None:
    words, merges = _byte_pairs(folder)
    # CLIP's vocabulary is 256 bytes, the same at a word's end, what each merge makes, and two marks.
    if len(words) != rows or (words.get(_BEGIN), words.get(_END)) != (rows - 2, rows - 1) or len(merges) != rows - 514:
        return None
    by_number = sorted(words, key=words.__getitem__)
    special = {"bos_token": _BEGIN, "eos_token": _END, "unk_token": _END}
    special["pad_token"] = _END if pad is None else by_number[pad]
    return {
        "vocab.json": _json({word: words[word] for word in by_number}),
        "merges.txt": "\n".join(["#version: 0.2", *merges]) + "\n",
        "special_tokens_map.json": _json(special),
        "tokenizer_config.json": _json({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}),
    }


def _byte_pairs(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Return words with their numbers, and merges in order, from either of the forms they are written in."""
    if (folder / "vocab.json").is_file():
        words = _read(folder / "vocab.json")
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
        return words, [line for line in lines if line.strip() and not line.startswith("#version")]
    model = _read(folder / "tokenizer.json")["model"]
    merges = [each if isinstance(each, str) else " ".join(each) for each in model["merges"]]
    return model["vocab"], merges


def _t5(folder: Path, rows: int) -> Texts | None:
    if (folder / "tokenizer.json").is_file():
        content = _read(folder / "tokenizer.json")
        pieces = [(str(piece), float(score)) for piece, score in content["model"]["vocab"]]
        charsmap = _charsmap(content.get("normalizer"))
    else:
        pieces, charsmap = read_sentencepiece((folder / "spiece.model").read_bytes())
    # Its 100 marks for gaps are in one form and not in the other; no prompt means them.
    pieces = [(piece, score) for piece, score in pieces if not piece.startswith("<extra_id_")]
    if not 0 <= rows - len(pieces) < _UNUSED_ROWS or [piece for piece, _ in pieces[:3]] != ["<pad>", "</s>", "<unk>"]:
        return None
    normalizer = {"type": "Precompiled", "precompiled_charsmap": charsmap} if charsmap else None
    backend: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": pieces, "byte_fallback": False},
    }
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "extra_ids": 0}
    return {
        "tokenizer.json": _json(backend),
        "tokenizer_config.json": _json({"tokenizer_class": "T5Tokenizer", "model_max_length": 512, **special}),
    }


def _charsmap(normalizer: Any) -> str:
    """Return how characters are replaced before anything else, in base64; empty if they are not."""
    rules = (normalizer or {}).get("normalizers", [normalizer or {}])
    return next((str(rule["precompiled_charsmap"]) for rule in rules if rule.get("type") == "Precompiled"), "")


def read_sentencepiece(content: bytes) -> tuple[list[tuple[str, float]], str]:
    """Return pieces with their scores, and the map of characters in base64, of a SentencePiece model.

    The file is a message in Google's wire format: field 1 repeats a piece (1 its text, 2 its score), field 3 says how
    text is normalised (2 the map of characters).

    Raises:
        ValueError, IndexError, struct.error: it is no such file.
    """
    pieces: list[tuple[str, float]] = []
    charsmap = b""
    for number, value in _fields(content):
        if number == 1 and isinstance(value, bytes):
            inner = dict(_fields(value))
            (score,) = struct.unpack("<f", inner.get(2, bytes(4)))
            pieces.append((inner[1].decode("utf-8"), score))
        elif number == 3 and isinstance(value, bytes):
            charsmap = dict(_fields(value)).get(2, b"")
    return pieces, base64.b64encode(charsmap).decode()


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of a message: a number, or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if key & 7 == 2:
            length, at = _varint(message, at)
        elif key & 7 in (1, 5):
            length = 8 if key & 7 == 1 else 4
        else:
            raise ValueError("is no message")
        if at + length > len(message):
            raise ValueError("is cut short")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at `at`, seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        value |= (message[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 128:
            return value, at


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
