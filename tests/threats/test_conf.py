"""conf/ with orders in it, and the settings.yaml of a stranger's run directory."""

from itertools import pairwise

import pytest

from batchgen.errors import ConfError

TAIL = "model: demo_shapes\n"
ALIASES = "x0: &x0 [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"x{b}: &x{b} [{','.join([f'*x{a}'] * 9)}]\n" for a, b in pairwise(range(9))
)
DOUBLING = "x0: xxxxxxxxxxxxxxxx\n" + "".join(f"x{b}: ${{x{a}}}${{x{a}}}\n" for a, b in pairwise(range(26)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ALIASES, "more than 10000 values"),
        (DOUBLING, r"more than 24 references"),
        (f"x: {'[' * 40}{']' * 40}\n", "32 of them inside one another"),
        ("x: &x [*x]\n", "inside one another|unknown key"),
        (f"x: {'[' * 5000}{']' * 5000}\n", "inside one another"),
        ("#" * 2**20, "larger than what any run saves"),
    ],
    ids=["aliases", "interpolations", "deep", "in itself", "without end", "large"],
)
def test_a_small_settings_file_does_not_become_a_large_one(settings_in, tmp_path, text, said):
    saved = tmp_path / "settings.yaml"
    saved.write_text(TAIL + text)

    with pytest.raises(ConfError, match=said) as caught:
        settings_in(saved=saved)

    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


SECRETS = [
    "negative_prompt: '${oc.env:SECRET}'\n",
    "negative_prompt: 'a ${oc.env:SECRET,x} b'\n",
    "negative_prompt: '${${emphasis}.env:SECRET}'\nemphasis: oc\n",
    "negative_prompt: '${output.root}'\noutput: {root: '/x/${oc.env:SECRET}'}\n",
    "negative_prompt: '${paths}'\npaths: {cache: '${oc.env:SECRET}'}\n",
    "negative_prompt: '${.output.root}'\noutput: {root: '${oc.env:SECRET}'}\n",
    "negative_prompt: '${oc.select:output.root}'\noutput: {root: '${oc.env:SECRET}'}\n",
    "negative_prompt: '\\\\${oc.env:SECRET}'\n",
]


@pytest.mark.parametrize("text", SECRETS)
def test_the_environment_gets_into_no_recipe_and_so_into_no_record_by_any_way(settings_in, tmp_path, text):
    saved = tmp_path / "settings.yaml"
    saved.write_text(TAIL + text)

    with pytest.raises(ConfError, match="stands in every record") as caught:
        settings_in(saved=saved)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("group", ["models", "samplers"])
def test_the_environment_gets_into_no_recommendation_and_no_sampler_option(settings_in, tmp_path, group):
    options = {
        "models": "mine: {family: sd15, source: {folder: x}, recommended: {negative_prompt: '${oc.env:SECRET}'}}",
        "samplers": "mine: {sampler: euler, negative_prompt: '${oc.env:SECRET}'}",
    }
    saved = tmp_path / "settings.yaml"
    saved.write_text(f"{TAIL}{group}: {{{options[group]}}}\n")
    settings = settings_in(saved=saved)

    with pytest.raises(ConfError, match="stands in every record"):
        settings.model("mine") if group == "models" else settings.sampler("mine")


def test_one_field_may_still_refer_to_another(settings_in, tmp_path):
    saved = tmp_path / "settings.yaml"
    saved.write_text(f"{TAIL}width: 64\nheight: ${{width}}\nnegative_prompt: 'costs \\${{5}}'\n")

    recipe = settings_in(saved=saved).recipe

    assert (recipe["height"], recipe["negative_prompt"]) == (64, "costs ${5}")


@pytest.mark.parametrize(
    "text", ["_target_: os.system\n", "runtime: {_target_: os.system}\n", "output: {root: x, _target_: os.system}\n"]
)
def test_an_order_to_call_something_is_an_unknown_key_of_settings(settings_in, tmp_path, text):
    saved = tmp_path / "settings.yaml"
    saved.write_text(TAIL + text)

    with pytest.raises(ConfError, match=r"unknown key.*'_target_'"):
        settings_in(saved=saved)


@pytest.mark.parametrize("group", ["model", "sampler", "runtime"])
def test_an_order_to_call_something_is_an_unknown_key_of_an_option(settings_in, tmp_path, group):
    file = tmp_path / "work" / "conf" / group / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("_target_: os.system\n")
    settings = settings_in() if group != "runtime" else None

    with pytest.raises(ConfError, match="'_target_'"):
        settings_in("runtime=mine") if settings is None else getattr(settings, group)("mine")


def test_a_tag_that_would_build_an_object_is_refused(settings_in, tmp_path):
    saved = tmp_path / "settings.yaml"
    saved.write_text("!!python/object/apply:os.system [id]\n")

    with pytest.raises(ConfError, match="could not determine a constructor"):
        settings_in(saved=saved)


@pytest.mark.parametrize("text", ["output: {root: ~nobody_at_all/x}", "paths: {models: [m, ~nobody_at_all/x]}"])
def test_a_folder_in_nobodys_home_is_an_error_in_words(settings_in, tmp_path, text):
    saved = tmp_path / "settings.yaml"
    saved.write_text(f"{TAIL}{text}\n")

    with pytest.raises(ConfError, match=r"settings\.yaml:2: (root|models): [^\n]* begins with nobody's home$"):
        settings_in(saved=saved)


def test_a_word_that_begins_with_nobodys_home_is_blamed_or_stays_a_word(settings_in):
    with pytest.raises(ConfError, match=r"^paths\.models=~nobody_at_all/x: models: [^\n]* begins with nobody's home$"):
        settings_in("paths.models=~nobody_at_all/x")

    settings = settings_in("on_finish.command=[tell,~nobody_at_all/x]")

    assert settings.on_finish.command == ("tell", "~nobody_at_all/x")


@pytest.mark.parametrize("key", ["run", "post"])
def test_what_runs_at_the_end_never_comes_from_a_run_directory(settings_in, tmp_path, key):
    saved = tmp_path / "settings.yaml"
    saved.write_text(f"{TAIL}on_finish: {{{key}: [touch, /tmp/x]}}\n")

    try:
        settings = settings_in(saved=saved)
    except ConfError:
        return
    assert "touch" not in repr(settings.on_finish)
    assert "touch" not in settings.save()
