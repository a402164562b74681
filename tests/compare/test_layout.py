from pathlib import Path

from batchgen.compare.layout import Compare, Shown, captioned, choose, in_rows, pages

AXES = {"prompt": ("a circle", "a star"), "seed": (0,), "sampler": ("euler", "ddim"), "steps": (4, 8, 20)}


def every_place(axes, *, without=()):
    places = [{}]
    for name, values in axes.items():
        places = [place | {name: value} for place in places for value in values]
    return [
        Shown(coordinates=place, picture=Path("-".join(map(str, place.values()))))
        for place in places
        if place not in without
    ]


def test_each_picture_stands_in_the_row_and_column_that_it_was_made_for():
    laid_out = pages(every_place(AXES), AXES, Compare(x="steps", y="sampler", page="prompt"))

    assert [page.title for page in laid_out] == ["a circle", "a star"]
    assert laid_out[1].columns == ("4", "8", "20")
    assert laid_out[1].rows == ("euler", "ddim")
    for page in laid_out:
        for row, shown in zip(page.rows, page.cells, strict=True):
            for column, each in zip(page.columns, shown, strict=True):
                assert each.picture.name == f"{page.title}-0-{row}-{column}"


def test_an_axis_without_a_side_of_its_own_shares_the_rows():
    axes = AXES | {"seed": (3, 7)}

    page, _ = pages(every_place(axes), axes, Compare(x="steps", y="sampler", page="prompt"))

    assert page.rows == ("euler · 3", "euler · 7", "ddim · 3", "ddim · 7")
    assert sum(each is not None for row in page.cells for each in row) == 12


def test_an_excluded_combination_leaves_its_place_empty():
    excluded = {"prompt": "a circle", "seed": 0, "sampler": "ddim", "steps": 20}

    page, _ = pages(every_place(AXES, without=[excluded]), AXES, Compare(x="steps", y="sampler", page="prompt"))

    assert page.cells[1][2] is None
    assert page.cells[1][1] is not None


def test_a_row_of_which_nothing_was_asked_for_is_not_shown():
    shown = [each for each in every_place(AXES) if each.coordinates["sampler"] == "euler"]

    page, _ = pages(shown, AXES, Compare(x="steps", y="sampler", page="prompt"))

    assert page.rows == ("euler",)


def test_one_picture_is_a_page_of_one_cell():
    axes = {"prompt": ("a circle",), "seed": (0,)}

    (page,) = pages(every_place(axes), axes, choose(axes, 1))

    assert (len(page.rows), len(page.columns)) == (1, 1)


def test_without_a_word_steps_are_columns_samplers_rows_and_prompts_pages():
    assert choose(AXES, 12) == Compare(x="steps", y="sampler", page="prompt")


def test_without_a_word_prompts_and_seeds_alone_are_rows_and_columns():
    assert choose({"prompt": ("a", "b"), "seed": (0, 1)}, 4) == Compare(x="seed", y="prompt")


def test_without_a_word_prompts_with_seeds_of_their_own_are_shown_one_below_the_other():
    axes = {"prompt": tuple("abcdefgh"), "seed": tuple(range(8))}
    shown = [Shown(coordinates={"prompt": p, "seed": s}, picture=None) for p, s in zip(*axes.values(), strict=True)]

    (page,) = pages(shown, axes, choose(axes, len(shown)))

    assert page.rows == tuple(f"{p} · {s}" for p, s in zip(*axes.values(), strict=True))
    assert len(page.columns) == 1


def test_a_small_part_of_a_huge_sweep_is_a_small_page():
    axes = {"prompt": ("a",), "seed": tuple(range(10_000)), "steps": tuple(range(1, 1000)), "sampler": ("x", "y")}
    shown = [Shown(coordinates={"prompt": "a", "seed": n, "steps": n, "sampler": "x"}, picture=None) for n in (3, 7)]

    (page,) = pages(shown, axes, Compare(x="steps", y="sampler", page="prompt"))

    assert page.columns == ("3", "7")
    assert page.rows == ("x · 3", "x · 7")


def test_values_stand_in_the_order_of_the_manifest_and_not_in_that_of_the_alphabet():
    axes = {"prompt": ("b", "a"), "steps": (20, 4), "sampler": ("heun", "ddim"), "seed": (7,)}

    found = pages(every_place(axes)[::-1], axes, Compare(x="steps", y="sampler", page="prompt"))

    assert [page.title for page in found] == ["b", "a"]
    assert (found[0].columns, found[0].rows) == (("20", "4"), ("heun", "ddim"))


def test_an_axis_with_one_value_is_a_row_of_its_own():
    axes = {"prompt": ("a",), "sampler": ("euler",), "steps": (4, 8), "seed": (0,)}

    (page,) = pages(every_place(axes), axes, Compare(x="steps", y="sampler", page="prompt"))

    assert (page.rows, page.columns) == (("euler",), ("4", "8"))


def test_a_caption_has_the_values_that_vary_and_before_numbers_the_name_of_their_axis():
    axes = {"prompt": ("a heron",), "sampler": ("euler", "ddim"), "steps": (4, 8), "seed": (3,)}

    found = captioned(every_place(axes), axes)

    assert [each.caption for each in found] == [
        "euler · steps 4",
        "euler · steps 8",
        "ddim · steps 4",
        "ddim · steps 8",
    ]


def test_a_caption_is_silent_about_an_axis_that_does_not_touch_the_prompt():
    axes = {"prompt": ("a", "b"), "colour": ("red", None), "seed": (3,)}

    first, second = captioned(
        [
            Shown(coordinates={"prompt": p, "colour": c, "seed": 3}, picture=None)
            for p, c in (("a", "red"), ("b", None))
        ],
        axes,
    )

    assert (first.caption, second.caption) == ("a · red", "b")


def test_without_a_grid_places_follow_one_another_and_the_last_row_may_be_shorter():
    shown = every_place({"seed": tuple(range(7))})

    page = in_rows(shown, 3)

    assert [len(row) for row in page.cells] == [3, 3, 1]
    assert [each for row in page.cells for each in row] == shown
    assert (page.x, page.y, len(page.columns), len(page.rows)) == (None, None, 3, 3)
