import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchgen.errors import ManifestError
from batchgen.plan.templates import phrases, unique

LITERAL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0{}|$\\_"))


def texts(template, **options):
    asked = {"sample": None, "seed": 0, "limit": 1000, "where": "m.yaml:3"} | options
    return [phrase.text for phrase in phrases(template, **asked)]


@given(LITERAL.filter(str.strip))
def test_a_template_without_braces_is_its_own_text(text):
    assert texts(text) == [text]


@settings(max_examples=50)
@given(LITERAL, LITERAL)
def test_everything_around_the_braces_is_kept(before, after):
    assert texts(before + "{a|b}" + after) == [before + "a" + after, before + "b" + after]


@settings(max_examples=50)
@given(LITERAL.map(str.strip), LITERAL.map(str.strip))
def test_everything_inside_the_braces_is_kept(one, other):
    if ":" not in one + other and one != other and one[:1] not in ("~", "!", "@") and not one[:1].isdigit():
        assert texts(f"x {{{one}|{other}}}") == [f"x {one}", f"x {other}"]


def test_hostile_texts_around_braces_are_kept(hostile_prompts):
    for prompt in hostile_prompts:
        escaped = prompt
        for special in "{}|$":
            escaped = escaped.replace(special, f"\\{special}")
        if "__wildcard__" not in prompt and not prompt.endswith("\\"):
            assert texts(f"{escaped}{{a|b}}") == [f"{prompt}a", f"{prompt}b"]


@pytest.mark.parametrize(
    ("template", "prompts"),
    [
        ("a {red|green} {circle|square}", ["a red circle", "a red square", "a green circle", "a green square"]),
        ("{a|{b|c}} d", ["a d", "b d", "c d"]),
        ("{2$$ and $$a|b}", ["a and b", "b and a"]),
        ("{0.3::a|0.7::b}", ["a", "b"]),
        ("{a|a|b}", ["a", "b"]),
        ("{a||b}", ["a", "", "b"]),
        (r"\{a\|b\} \$5 (x:1.2) \(y\)", [r"{a|b} $5 (x:1.2) \(y\)"]),
        ("50% #fff // {a|b} /* c */ $5\ttab", ["50% #fff // a /* c */ $5\ttab", "50% #fff // b /* c */ $5\ttab"]),
        ("a_b __ c__ {d|e__f}", ["a_b __ c__ d", "a_b __ c__ e__f"]),
    ],
)
def test_braces_mean_either_and_all_else_itself(template, prompts):
    assert texts(template) == prompts


def test_variables_stay_open_and_take_any_value_literally():
    (one, two) = phrases("a ${colour} {x|${what}}", sample=None, seed=0, limit=9, where=None)

    assert one.variables == ("colour",)
    assert two.variables == ("colour", "what")
    assert two.filled({"colour": "${what} {a|b}", "what": "#1"}) == "a ${what} {a|b} #1"


def test_a_sample_is_drawn_from_its_own_seed_and_without_repeats():
    template = "{a|b|c|d|e|f} {1|2|3|4|5|6}"

    drawn = texts(template, sample=12, seed=5)

    assert len(set(drawn)) == 12
    assert set(drawn) <= set(texts(template))
    assert drawn == texts(template, sample=12, seed=5)
    assert drawn != texts(template, sample=12, seed=6)
    assert drawn[:4] == texts(template, sample=4, seed=5)


def test_drawing_touches_no_global_random_state():
    import random

    before = random.getstate()
    texts("{a|b|c} {~d|e}", sample=3)
    texts("{a|b|c} {~d|e}")

    assert random.getstate() == before


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("a {red", r"never closed; write \{"),
        ("a red}", r"without its {; write \}"),
        ("{" * 9 + "}" * 9, "more than 8 braces"),
        ("a __colour__", "wildcard files (__colour__)"),
        ("${oc.env:HOME}", "${oc.env:HOME} is no variable"),
        ("${a=b}", "${a=b} is no variable"),
        ("${1}", "${1} is no variable"),
        ("{a|b$$c}", "cannot be read"),
        ("{a|b}" * 12, "more than 1,000 prompts"),
        ("{a|b}" * 2000, "too many variants"),
    ],
)
def test_a_template_that_is_wrong_says_why_and_where(template, reason):
    with pytest.raises(ManifestError, match=r"^m\.yaml:3: template: [^\n]*$") as caught:
        texts(template)

    assert reason in caught.value.message


def test_a_sample_larger_than_the_template_is_refused():
    with pytest.raises(ManifestError, match="only 2 different prompts"):
        texts("{a|b}", sample=3)


def test_a_sample_larger_than_the_limit_is_refused_before_anything_is_drawn():
    with pytest.raises(ManifestError, match="count 1,001 is more than 1,000 prompts") as caught:
        texts("{!a|b}", sample=1001)  # a draw would say something else

    assert "--max-jobs" in caught.value.message


def test_drawing_ends_where_nothing_new_comes():
    draws = iter([*"abc" * 300, *"d" * 500, *"a" * 100_000, "e"])

    assert list(unique(draws)) == ["a", "b", "c", "d"]
    assert len(list(draws)) > 90_000


def test_the_more_was_found_the_longer_it_is_looked_for_more():
    many = [str(i) for i in range(500)]

    assert list(unique([*many, *many * 9, "new"])) == [*many, "new"]


def test_few_different_prompts_are_told_however_many_are_asked_for():
    with pytest.raises(ManifestError, match="only 6 different prompts came; use `mode: all`"):
        texts("{a|b|c} {d|e}", sample=1_000)


def test_a_sample_may_be_as_large_as_the_template():
    template = "{a|b|c|d|e|f|g|h|i|j} {0|1|2|3|4|5|6|7|8|9} {x|y}"

    assert sorted(texts(template, sample=200)) == sorted(texts(template))


def test_repeats_count_towards_the_limit_so_that_none_is_left_out_unsaid():
    assert texts("{a|}{a|}{a|}", limit=8) == ["aaa", "aa", "a", ""]
    with pytest.raises(ManifestError, match="more than 4 prompts"):
        texts("{a|}{a|}{a|}", limit=4)


def test_every_one_of_them_cannot_stand_in_a_sample():
    with pytest.raises(ManifestError, match="every one of them"):
        texts("{!a|b}", sample=1)
