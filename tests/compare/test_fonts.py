"""Which font shows which character, on a machine with fonts and on one without."""

from pathlib import Path

import pytest

from batchgen.compare.fonts import SHIPPED, Fonts, installed, is_invisible, written_out

BARE = Fonts()
"""A machine without a font of its own."""

ESCAPED = str.maketrans({"\u200b": ""})


@pytest.mark.parametrize("text", ["Ærø, naïve", "Ελληνικά", "Кириллица", "שלום", "مرحبا", "→ × … ☕ ½"])
def test_the_shipped_font_alone_shows_the_scripts_that_it_has(text):
    assert BARE.chain(text) == (SHIPPED,)
    assert BARE.readable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("強い", "\\u5f37\\u3044"),
        ("a \U0001f98a b", "a [fox face] b"),
        ("\U0001f469\u200d\U0001f467", "[woman][girl]"),
        ("\U0001f3f3\ufe0f\u200d\U0001f308", "[waving white flag][rainbow]"),
        ("\U00013000", "\\U00013000"),
    ],
)
def test_what_no_font_shows_is_written_out(text, shown):
    assert BARE.readable(text).translate(ESCAPED) == shown


@pytest.mark.parametrize("text", ["\x1b[31m", "\x00", "\ue000", "\ud800", "\uffff", "\u202e", "\u2066", "\u2069"])
def test_what_is_no_character_or_turns_the_line_around_is_written_out_whatever_fonts_there_are(text):
    for fonts in (BARE, installed()):
        assert fonts.readable(text).translate(ESCAPED) == f"\\u{ord(text[0]):04x}{text[1:]}"


@pytest.mark.parametrize(
    "character", ["\u200d", "\u200b", "\u200e", "\u200f", "\xad", "\ufe0f", "\U000e0101", "\u034f"]
)
def test_what_only_has_an_effect_on_others_stays_and_is_no_letter(character):
    assert is_invisible(character)
    assert BARE.readable(f"a{character}b") == f"a{character}b"


@pytest.mark.parametrize(
    ("text", "script"), [("強い日本語", "CJK"), ("हिन्दी", "DEVANAGARI"), ("ภาษาไทย", "THAI"), ("한국어", "HANGUL")]
)
def test_the_fonts_of_the_machine_are_taken_where_the_shipped_one_lacks_a_script(text, script):
    fonts = installed()
    if fonts.readable(text) != text:
        pytest.skip(f"no font for {script} is installed here")

    found = fonts.chain(f"a {text}")

    assert found[0] == SHIPPED
    assert len(found) > 1


def test_a_file_that_is_no_font_or_is_gone_is_passed_over(tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"\x00\x01\x00\x00junk")
    (tmp_path / "empty.ttf").touch()
    fonts = Fonts([str(tmp_path / name) for name in ("broken.ttf", "empty.ttf", "gone.ttf")])

    assert fonts.readable("強").translate(ESCAPED) == "\\u5f37"


def test_a_font_of_boxes_is_never_taken():
    last_resort = Path(SHIPPED).with_name("LastResortHE-Regular.ttf")
    assert last_resort.exists()

    assert Fonts([str(last_resort)]).readable("強").translate(ESCAPED) == "\\u5f37"


def test_of_several_fonts_the_plainest_is_taken():
    files = [
        str(Path(SHIPPED).with_name(name))
        for name in ("STIXGeneralBol.ttf", "STIXGeneral.ttf", "STIXGeneralItalic.ttf")
    ]
    fonts = Fonts(files)
    lacking = next(each for each in map(chr, range(0x2200, 0x2E00)) if fonts.chain(each) != (SHIPPED,))

    assert fonts.chain(lacking) == (SHIPPED, files[1])


def test_every_character_is_looked_for_once(tmp_path):
    moved = tmp_path / "STIXGeneral.ttf"
    moved.write_bytes(Path(SHIPPED).with_name("STIXGeneral.ttf").read_bytes())
    fonts = Fonts([str(moved)])
    lacking = next(each for each in map(chr, range(0x2200, 0x2E00)) if fonts.chain(each) != (SHIPPED,))

    moved.unlink()

    assert fonts.chain(lacking) == (SHIPPED, str(moved))


def test_a_sign_goes_by_its_name_and_a_letter_by_its_number():
    assert (written_out("\u2603"), written_out("\u0915")) == ("[snowman]", "\\u0915")
