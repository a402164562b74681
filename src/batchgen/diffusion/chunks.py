"""Tokens of a prompt of any length, laid out in chunks that a text encoder can take. Nothing is cut off; no torch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from batchgen.diffusion.emphasis import Segment

Tokenize = Callable[[str], Sequence[int]]
"""Text to token ids, without any added at the beginning or end."""

KEPT_TOGETHER = 8
"""ComfyUI moves a segment of fewer tokens to the next chunk whole; a longer one is cut where the chunk ends."""

COMMA_REACH = 20
"""A1111 ends a chunk after the last comma, if that is at most so many tokens back."""


class Token(NamedTuple):
    """One token and what it weighs."""

    id: int
    """Its number in the vocabulary; below 0 it is a vector of an embedding."""
    weight: float = 1.0


Chunk = tuple[Token, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a text encoder wants around the tokens of a chunk."""

    length: int
    """Tokens of a chunk, the added ones among them: 77 for CLIP."""
    begin: int | None
    end: int
    pad: int
    grows: bool = False
    """A single chunk grows with its prompt (T5); `length` is its least."""

    @property
    def room(self) -> int:
        """How many of a prompt's own tokens a chunk holds: 75 for CLIP."""
        return self.length - 1 - (self.begin is not None)

    def around(self, chunk: Chunk) -> Chunk:
        """Return the chunk with its first token, its last, and padding."""
        begin = () if self.begin is None else (Token(self.begin),)
        framed = (*begin, *chunk, Token(self.end))
        return framed + (Token(self.pad),) * (self.length - len(framed))


def comfy_chunks(segments: Sequence[Segment], tokenize: Tokenize, room: int) -> tuple[Chunk, ...]:
    """Fill chunks of `room` tokens as ComfyUI does: short segments are not cut in two. At least one chunk."""
    chunks: list[list[Token]] = [[]]
    for segment in segments:
        tokens = [Token(each, segment.weight) for each in tokenize(segment.text)]
        free = room - len(chunks[-1])
        if len(tokens) > free and len(tokens) < KEPT_TOGETHER:
            chunks.append([])
        while len(tokens) > (free := room - len(chunks[-1])):
            chunks[-1] += tokens[:free]
            tokens = tokens[free:]
            chunks.append([])
        chunks[-1] += tokens
    return tuple(tuple(chunk) for chunk in chunks)


def a1111_chunks(segments: Sequence[Segment], tokenize: Tokenize, room: int) -> tuple[Chunk, ...]:
    """Fill chunks of `room` tokens as A1111 does: a full chunk gives back what stands after its last comma."""
    comma = next(iter(tokenize(",")), None)
    chunks: list[list[Token]] = [[]]
    for segment in segments:
        ids = tokenize(segment.text)
        # The vectors of an embedding, which are numbers below 0, stay together.
        if segment.new_chunk or (min(ids, default=0) < 0 and len(chunks[-1]) + len(ids) > room):
            chunks.append([])
        for each in ids:
            if len(chunks[-1]) == room:
                chunks.append([] if each == comma else _given_back(chunks[-1], comma))
            chunks[-1].append(Token(each, segment.weight))
    return tuple(tuple(chunk) for chunk in chunks)


def _given_back(chunk: list[Token], comma: int | None) -> list[Token]:
    """Take what stands after the last comma off a full chunk, if that comma is near its end, and return it."""
    commas = [place for place, token in enumerate(chunk) if token.id == comma]
    if not commas or len(chunk) - commas[-1] > COMMA_REACH:
        return []
    given_back = chunk[commas[-1] + 1 :]
    del chunk[commas[-1] + 1 :]
    return given_back


def one_chunk(segments: Sequence[Segment], tokenize: Tokenize) -> tuple[Chunk, ...]:
    """Return all tokens in one chunk, for encoders that take any length."""
    return (tuple(_all_tokens(segments, tokenize)),)


def _all_tokens(segments: Sequence[Segment], tokenize: Tokenize) -> Iterator[Token]:
    for segment in segments:
        yield from (Token(each, segment.weight) for each in tokenize(segment.text))
