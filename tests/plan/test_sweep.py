from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.parts import MAX_SEED
from batchgen.plan.sweep import MAX_VALUES, is_range, label, read_range, read_seeds

NUMBERS = st.decimals(-1000, 1000, places=3)
STEPS = st.decimals("0.001", 100, places=3)


@given(NUMBERS, STEPS, st.integers(0, 200), st.booleans())
def test_a_range_has_exactly_the_values_that_were_typed(first, step, count, falling):
    last = first - step * count if falling else first + step * count

    values = read_range(f"{first}..{last}/{step}")

    assert len(values) == count + 1
    assert [Decimal(str(value)) for value in values] == [
        first + (-step if falling else step) * i for i in range(count + 1)
    ]


@given(st.integers(-500, 500), st.integers(-500, 500))
def test_a_range_of_whole_numbers_has_whole_numbers(first, last):
    values = read_range(f"{first}..{last}")

    assert values[0] == first
    assert values[-1] == last
    assert all(type(value) is int for value in values)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("4..20/8", (4, 12, 20)),
        ("0.1..0.5/0.1", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("1.0..3.0", (1.0, 2.0, 3.0)),
        ("20..4/8", (20, 12, 4)),
        ("7..7", (7,)),
        ("-1..1", (-1, 0, 1)),
    ],
)
def test_a_range_includes_its_end(text, values):
    assert read_range(text) == values


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("4..21/8", "the last before it is 20"),
        ("0.1..0.5", "do not meet 0.5"),
        ("1..3/0", "never arrives"),
        ("0..1/0.000001", "1,000,001 values"),
        ("3", "is no range"),
        ("1...3", "is no range"),
        ("a..b", "is no range"),
        ("1..3/-1", "is no range"),
    ],
)
def test_a_range_that_is_wrong_says_why(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_range(text)


def test_a_range_beyond_memory_is_counted_not_made():
    with pytest.raises(ValueError, match="100,000,000,000,000,000,001 values"):
        read_range(f"0..{10**20}")


@pytest.mark.parametrize("text", ["0..3", "4..20/8", "-1..1", "0.5..2.5/0.5"])
def test_a_range_is_told_from_other_texts(text):
    assert is_range(text)
    assert not is_range(f"{text} circles")


@pytest.mark.parametrize(
    ("written", "seeds"),
    [
        (7, [7]),
        ("7", [7]),
        ("1,5", [1, 5]),
        ("1, 5", [1, 5]),
        ("0..3", [0, 1, 2, 3]),
        ("8..0/4", [8, 4, 0]),
        ([5, 1], [5, 1]),
        (["0..2", 10], [0, 1, 2, 10]),
        ({"count": 3, "from": 100}, [100, 101, 102]),
        ({"count": 2}, [0, 1]),
        (MAX_SEED, [MAX_SEED]),
        (f"{MAX_SEED - 1}..{MAX_SEED}", [MAX_SEED - 1, MAX_SEED]),
    ],
)
def test_seeds_are_what_was_written_in_its_order(written, seeds):
    assert list(read_seeds(written)) == seeds


def test_twenty_billion_seeds_are_not_written_out():
    seeds = read_seeds("0..19999999999")

    assert isinstance(seeds, range)
    assert len(seeds) == 20_000_000_000


@pytest.mark.parametrize(
    "written",
    [-1, "-1", [1, -1], "-1..3", {"count": 1, "from": -1}],
)
def test_a_seed_of_minus_one_is_told_what_to_write(written):
    with pytest.raises(ValueError, match=r"\{count: 8, from: 100\}"):
        read_seeds(written)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (MAX_SEED + 1, "18446744073709551615"),
        ({"count": 2, "from": MAX_SEED}, "18446744073709551615"),
        ("1e3", "'1e3'"),
        (1000.0, "1000.0"),
        (True, "True"),
        (None, "None"),
        ("random", "'random'"),
        ("0.5..2.5", "whole numbers"),
        ([], "empty"),
        ([1, 2, 1], "seed 1 is there twice"),
        (["0..3", 2], "seed 2 is there twice"),
        ({"count": 0}, "at least 1"),
        ({"count": True}, "at least 1"),
        ({"from": 3}, "count"),
        ({"count": 3, "form": 3}, "form"),
        (f"0..{MAX_SEED}", "more than"),
        ([f"0..{MAX_VALUES}"], "write it alone"),
    ],
)
def test_seeds_that_are_wrong_say_why(written, reason):
    with pytest.raises(ValueError, match=reason):
        read_seeds(written)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(7, "7"), (7.0, "7"), (0.3, "0.3"), (1e300, "1e+300"), (True, "true"), ("no", "no"), (None, "—")],
)
def test_a_label_is_what_a_person_wrote(value, shown):
    assert label(value) == shown
