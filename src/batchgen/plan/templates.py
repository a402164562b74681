r"""Templates: `a {red|green} ${shape}` -> prompts whose variables are still open.

The braces are read by dynamicprompts: `{a|b}`, weights `{0.3::a|b}`, several `{2$$a|b|c}`, nested. Everything else is
kept literally. That takes care, because dynamicprompts also reads comments (`#fff` would be eaten), wildcards
(`__name__`), `%` and tabs: such characters go through it as private ones, and come back. `\{`, `\}`, `\|` and `\$` are
the characters themselves.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Final

from batchgen.errors import ManifestError
from batchgen.plan.fields import VARIABLE

MAX_NESTING: Final = 8
MAX_VARIANTS: Final = 2000
"""Braces and bars of one template: the time that reading them takes grows with their square."""

_SPECIAL: Final = re.compile(r"\\([{}|$])|\$\{([^{}]*)\}|(\$\$)|([{}])|([#%$/\t\r_])")
_WILDCARD: Final = re.compile(r"__[~!@]?[\w/*-]+?__")
_DRAWS: Final = 64
"""Draws for each prompt that is asked for, before giving up on finding different ones."""
_DRY: Final = 10
"""Draws without anything new for each prompt that was found, before it is said that there are no more. Of n equally
likely ones the last is missed with probability e^-10; `_DRY_LEAST` draws are made where few were found."""
_DRY_LEAST: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A prompt with open variables: literal texts, and between them the names of variables."""

    literals: tuple[str, ...]
    variables: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The phrase as written, variables as `${name}`."""
        return self.filled({name: f"${{{name}}}" for name in self.variables})

    def filled(self, values: dict[str, str]) -> str:
        """Return the prompt; values are put in literally, whatever characters they have."""
        parts = [self.literals[0]]
        for name, literal in zip(self.variables, self.literals[1:], strict=True):
            parts += (values[name], literal)
        return "".join(parts)


def phrases(template: str, *, sample: int | None, seed: int, limit: int, where: str | None) -> tuple[Phrase, ...]:
    """Return the different phrases of a template: all of them, or `sample` drawn ones.

    Raises:
        ManifestError: the template cannot be read, has more than `limit` phrases, or fewer than `sample`.
    """
    try:
        shield = _Shield(template)
        if not shield.variants:
            return (shield.open(shield.text),)
        found = tuple(shield.open(text) for text in _distinct(shield.text, sample, seed, limit))
    except ValueError as error:
        raise ManifestError(f"template: {error}", where=where) from error
    if len(found) < (sample or 1):
        raise ManifestError(f"template: only {len(found)} different prompts came; use `mode: all`", where=where)
    return found


class _Shield:
    """A template whose literal characters mean nothing to dynamicprompts, and the way back."""

    def __init__(self, template: str) -> None:
        if not template.strip():
            raise ValueError("it is empty")
        if wildcard := _WILDCARD.search(template):
            raise ValueError(f"wildcard files ({wildcard[0]}) are not read; make it an axis and write ${{name}}")
        self._private = _unused_characters(template)
        self._literal: dict[str, str] = {}
        self._variable: dict[str, str] = {}
        self._depth = 0
        self.variants = False
        self.text = _SPECIAL.sub(self._replaced, template)
        if self.variants and sum(map(self.text.count, "{|")) > MAX_VARIANTS:
            raise ValueError(
                f"too many variants: at most {MAX_VARIANTS} braces and bars; make an axis, write ${{name}}"
            )
        if self._depth:
            raise ValueError(r"a { is never closed; write \{ for the character itself")

    def _replaced(self, match: re.Match[str]) -> str:
        escaped, variable, bound, brace, other = match.groups()
        if brace:
            return self._brace(brace)
        if bound:
            return bound if self._depth else self._hidden("$", self._literal) * 2
        if variable is not None:
            return self._hidden(_variable_name(variable), self._variable)
        return self._hidden(escaped or other, self._literal)

    def _brace(self, brace: str) -> str:
        self._depth += 1 if brace == "{" else -1
        self.variants = True
        if self._depth < 0:
            raise ValueError(r"a } without its {; write \} for the character itself")
        if self._depth > MAX_NESTING:
            raise ValueError(f"more than {MAX_NESTING} braces inside one another")
        return brace

    def _hidden(self, word: str, table: dict[str, str]) -> str:
        """Return the private character that stands for `word`."""
        if word not in table:
            private = next(self._private, None)
            if private is None:
                raise ValueError("too many different variables for one template; split it")
            table[word] = private
        return table[word]

    def open(self, text: str) -> Phrase:
        """Return the phrase behind a text that came out of dynamicprompts."""
        names = {private: name for name, private in self._variable.items()}
        pieces = re.split(f"([{''.join(names)}])", text) if names else [text]
        back = str.maketrans({private: word for word, private in self._literal.items()})
        literals = tuple(piece.translate(back) for piece in pieces[::2])
        return Phrase(literals=literals, variables=tuple(names[piece] for piece in pieces[1::2]))


def _variable_name(word: str) -> str:
    if not VARIABLE.fullmatch(word):
        raise ValueError(
            rf"${{{word}}} is no variable such as ${{colour}}; write \$\{{{word}\}} for the characters themselves"
        )
    return word


def _unused_characters(text: str) -> Iterator[str]:
    """Yield private-use characters that the text does not have."""
    used = set(text)
    return (chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in used)


def _distinct(text: str, sample: int | None, seed: int, limit: int) -> Sequence[str]:
    """Return different texts, in the order in which they come."""
    if sample is None:
        found = list(islice(_generated(text, seed, everything=True), limit + 1))
        if len(found) > limit:
            raise ValueError(f"more than {limit:,} prompts; use `mode: sample`, or raise --max-jobs")
        return list(dict.fromkeys(found))
    if sample > limit:
        raise ValueError(f"count {sample:,} is more than {limit:,} prompts; lower it, or raise --max-jobs")
    draws = islice(_generated(text, seed, everything=False), _DRAWS * sample + 256)
    return list(islice(unique(draws), sample))


def unique(texts: Iterable[str]) -> Iterator[str]:
    """Yield what was not there before, until nothing new comes for long."""
    seen = set()
    dry = 0
    for text in texts:
        dry += 1
        if text not in seen:
            seen.add(text)
            dry = 0
            yield text
        elif dry >= max(_DRY_LEAST, _DRY * len(seen)):
            return


def _generated(text: str, seed: int, *, everything: bool) -> Iterator[str]:
    """Yield what dynamicprompts makes of the text, from a random generator of our own."""
    if not everything and "{!" in text:
        raise ValueError("{!a|b} means every one of them, which `mode: sample` does not make")
    # Imported here, because most runs have no template and the grammar takes 0.1 s to build.
    from dynamicprompts.enums import SamplingMethod  # noqa: PLC0415 - see above
    from dynamicprompts.sampling_context import SamplingContext  # noqa: PLC0415 - see above
    from dynamicprompts.wildcards import WildcardManager  # noqa: PLC0415 - see above
    from pyparsing import ParseBaseException  # noqa: PLC0415 - see above

    _build_grammar()
    context = SamplingContext(
        default_sampling_method=SamplingMethod.COMBINATORIAL if everything else SamplingMethod.RANDOM,
        wildcard_manager=WildcardManager(),
        rand=Random(seed),  # noqa: S311 - a draw that must be the same next time
    )
    try:
        yield from (result.text for result in context.sample_prompts(text))
    except ParseBaseException as error:
        raise ValueError("the braces cannot be read; known are {a|b}, {2$$a|b|c} and {0.3::a|0.7::b}") from error
    except RecursionError as error:
        raise ValueError("too many variants for one template; split it") from error


def _build_grammar() -> None:
    """Build dynamicprompts' grammar, which it keeps, without its words about pyparsing's older names."""
    from dynamicprompts.parser.config import default_parser_config  # noqa: PLC0415 - as in _generated
    from dynamicprompts.parser.parse import get_cached_parser  # noqa: PLC0415 - as in _generated

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        get_cached_parser(default_parser_config)
