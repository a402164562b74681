"""Sheets as files: what each says of itself, in every format, and by which it is known again."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from batchgen import __version__
from batchgen.compare.printing import MAX_SIDE, SUFFIXES, Imprint, remove_others, save, shows

SAID = "5a" * 32
IMPRINT = Imprint(
    said=SAID, title='demo: 強い <b>&"heron"', description="run: demo\ncolumns: steps = 2, 4\npage 2 of 5"
)
SUFFIX = pytest.mark.parametrize("suffix", SUFFIXES.values())


@pytest.fixture
def sheet():
    return Image.linear_gradient("L").convert("RGB")


@SUFFIX
def test_a_sheet_says_what_it_shows_whatever_file_it_is(tmp_path, sheet, suffix):
    path = tmp_path / f"s{suffix}"

    save(sheet, path, IMPRINT)

    assert shows(path) == SAID
    with Image.open(path) as read:
        assert read.format == {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[suffix]
        assert read.size == sheet.size
        difference = np.abs(np.asarray(read.convert("RGB")).astype(int) - np.asarray(sheet)).max()
    assert difference <= (0 if suffix == ".png" else 6)


def test_a_png_tells_people_under_the_keys_of_the_standard(tmp_path, sheet):
    save(sheet, tmp_path / "s.png", IMPRINT)

    with Image.open(tmp_path / "s.png") as read:
        assert read.info["Title"] == IMPRINT.title
        assert read.info["Description"] == IMPRINT.description
        assert read.info["Software"] == f"batchgen {__version__}"


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("title", [IMPRINT.title, "]]> --> <?x?>", "\x1b \x00 \ud800 \uffff", "é" * 100_000])
def test_jpeg_and_webp_tell_people_in_xmp_that_any_title_leaves_well_formed(tmp_path, sheet, suffix, title):
    path = tmp_path / f"s{suffix}"
    save(sheet, path, Imprint(said=SAID, title=title, description=IMPRINT.description))

    with Image.open(path) as read:
        packet = re.sub(r"<\?xpacket[^>]*\?>", "", read.info["xmp"].decode())

    root = ET.fromstring(packet)
    texts = [each.text for each in root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")]
    assert texts[1] == IMPRINT.description
    if title == IMPRINT.title:
        assert texts[0] == title
    about = root.find(".//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert about.get("{http://ns.adobe.com/xap/1.0/}CreatorTool") == f"batchgen {__version__}"
    assert shows(path) == SAID


@SUFFIX
def test_a_picture_without_that_text_is_no_sheet(tmp_path, sheet, suffix):
    path = tmp_path / f"s{suffix}"
    sheet.save(path)

    assert shows(path) is None


@SUFFIX
def test_neither_a_link_nor_half_a_file_nor_nothing_is_a_sheet(tmp_path, sheet, suffix):
    path = tmp_path / f"s{suffix}"
    save(sheet, path, IMPRINT)
    (tmp_path / f"link{suffix}").symlink_to(path)
    (tmp_path / f"torn{suffix}").write_bytes(path.read_bytes()[:30])

    assert [shows(tmp_path / f"{name}{suffix}") for name in ("link", "torn", "none")] == [None] * 3


def test_only_sheets_that_are_no_longer_asked_for_are_removed_of_whatever_kind(tmp_path, sheet):
    for suffix in SUFFIXES.values():
        save(sheet, tmp_path / f"old{suffix}", IMPRINT)
        save(sheet, tmp_path / f"kept{suffix}", IMPRINT)
        sheet.save(tmp_path / f"mine{suffix}")
    (tmp_path / "notes.txt").write_text(SAID)

    remove_others(tmp_path, [tmp_path / f"kept{suffix}" for suffix in SUFFIXES.values()])

    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["kept.jpg", "kept.png", "kept.webp", "mine.jpg", "mine.png", "mine.webp", "notes.txt"]


@SUFFIX
def test_a_sheet_of_the_longest_side_can_be_written(tmp_path, suffix):
    save(Image.new("RGB", (MAX_SIDE, 2)), tmp_path / f"s{suffix}", IMPRINT)

    assert shows(tmp_path / f"s{suffix}") == SAID
