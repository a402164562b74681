import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import ConfError
from batchgen.settings import Words, parse_words


def field(word: str) -> tuple[Any, ...]:
    (values,) = parse_words([word]).fields.values()
    return values


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("steps=10", (10,)),
        ("steps=10,20", (10, 20)),
        ("sampler=euler,ddim", ("euler", "ddim")),
        ("sampler=choice(euler,ddim)", ("euler", "ddim")),
        ("steps=sort(30,10,20)", (10, 20, 30)),
        ("steps=range(1,4)", (1, 2, 3)),
        ("steps=range(3,0,-1)", (3, 2, 1)),
        ("guidance_scale=range(0.1,0.6,0.1)", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("guidance_scale=range(1.0,0.0,-0.25)", (1.0, 0.75, 0.5, 0.25)),
        ("guidance_scale=7.5", (7.5,)),
        ("seed=-1", (-1,)),
        ("seed=1e3", (1000.0,)),
        ("size=64x64,64x96", ("64x64", "64x96")),
        ("seed=0..3", ("0..3",)),
        ("who='a, b'", ("a, b",)),
        ('who="it\'s"', ("it's",)),
        ("who=a red circle, big", ("a red circle", "big")),
        (r"who=a\, b", ("a, b",)),
        ("who=${oc.env:HOME}", ("${oc.env:HOME}",)),
        ("who='${oc.env:HOME}'", ("${oc.env:HOME}",)),
        ("who='a','b'", ("a", "b")),
        ("who=???", ("???",)),
        ("who=", ("",)),
        ("distilled_guidance=null", (None,)),
        ("flag=true", (True,)),
        ("loras=[a,'b, c']", (["a", "b, c"],)),
        ("loras=[{name:'x y',scale:0.5}]", ([{"name": "x y", "scale": 0.5}],)),
        ("model=../../x", ("../../x",)),
        ("who=str(3)", ("3",)),
    ],
)
def test_a_word_is_read_by_hydras_grammar(word: str, values: tuple[Any, ...]) -> None:
    read = field(word)
    assert read == values
    assert [type(each) for each in read] == [type(each) for each in values]


def test_settings_and_fields_are_told_apart_by_their_first_name() -> None:
    words = parse_words(["runtime=cuda", "steps=4", "runtime.batch=2", "paths.models=[a,b]", "output.root='a b'"])
    assert words.settings == (
        ("runtime", "cuda"),
        ("runtime.batch", 2),
        ("paths.models", ["a", "b"]),
        ("output.root", "a b"),
    )
    assert dict(words.fields) == {"steps": (4,)}


def test_no_words_are_no_settings_and_no_fields() -> None:
    assert parse_words([]) == Words()


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("+steps=4", "neither adds nor deletes"),
        ("++steps=4", "neither adds nor deletes"),
        ("~steps", "neither adds nor deletes"),
        ("steps", "not of the form name=value"),
        ("=4", "no name before ="),
        ("steps@other=4", "packages"),
        ("hydra.run.dir=x", "Hydra's own settings"),
        ("hydra/launcher=x", "Hydra's own settings"),
        ("hydra=x", "Hydra's own settings"),
        ("a/b=1", "'a.b' may be meant"),
        ("steps=shuffle(1,2)", "interval, glob and shuffle"),
        ("steps=shuffle(range(1,3))", "interval, glob and shuffle"),
        ("steps=interval(0,1)", "interval, glob and shuffle"),
        ("model=glob(*)", "interval, glob and shuffle"),
        ("steps=range(1,5,0)", "a step other than 0"),
        ("steps=range(5,1)", "has 0 values"),
        ("steps=range(0,1000000001)", "has 1000000001 values"),
        ("steps=range(0.0,inf)", "finite"),
        ("steps=eval(1)", "Unknown function 'eval'"),
        ("prompt=(red:1.2) circle", "extraneous input '('"),
        ("prompt=red (circle)", "Unknown function 'red'"),
        ("output.root=a~/x", "token recognition error at: '~'; put values with special characters in quotes"),
        ("steps=int(x)", "invalid literal"),
        ("prompt=[a", "--prompt"),
        ("prompt=a=b", "--prompt"),
        ("prompt='it's'", "--prompt"),
        ("farbe\u00e4=1", "token recognition error"),
        ("runtime.batch=1,2", "runtime.batch=[A,B]"),
    ],
)
def test_what_is_not_taken_is_refused_in_one_line_with_the_reason(word: str, reason: str) -> None:
    with pytest.raises(ConfError) as caught:
        parse_words([word])
    assert caught.value.where == word
    assert reason in caught.value.message
    assert not caught.value.message.startswith("None")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [["steps=1", "steps=2"], ["runtime.batch=1", "runtime.batch=2"]])
def test_a_name_that_is_given_twice_is_an_error(words: list[str]) -> None:
    with pytest.raises(ConfError, match="is given twice"):
        parse_words(words)


@given(
    first=st.decimals(-50, 50, places=2),
    step=st.decimals("0.01", 5, places=2),
    count=st.integers(1, 40),
    down=st.booleans(),
)
def test_a_float_range_is_exact_and_leaves_its_end_out(first: Decimal, step: Decimal, count: int, down: bool) -> None:
    step = -step if down else step
    values = field(f"x=range({first},{first + count * step},{step})")
    exact = [first + index * step for index in range(count)]
    assert list(values) == [float(number) for number in exact]
    assert all(math.isfinite(value) for value in values)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_any_text_in_quotes_is_taken_literally(text: str) -> None:
    from hydra.core.override_parser.types import Quote, QuotedString

    assert field(f"who={QuotedString(text, Quote.double).with_quotes()}") == (text,)


def test_a_path_from_home_needs_no_quotes():
    words = parse_words(["output.root=~/renders", "paths.models=[~/ComfyUI/models,/data,~]"])

    assert dict(words.settings) == {
        "output.root": "~/renders",
        "paths.models": ["~/ComfyUI/models", "/data", "~"],
    }
