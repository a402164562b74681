"""Sheets as files: of what kind, how large at most, and what each says of itself, by which it is known again."""

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from xml.sax.saxutils import escape

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from batchgen import __version__
from batchgen.engine import SheetFormat
from batchgen.store.content import is_no_file
from batchgen.store.publish import said_plainly, write_atomic

MAX_PIXELS: Final = 64_000_000
"""Of one file: many viewers refuse more."""

MAX_SIDE: Final = 16_383
"""Pixels of one file: a WebP cannot have more, and where a screen draws with its graphics card, no picture can."""

SUFFIXES: Final[Mapping[SheetFormat, str]] = MappingProxyType({"png": ".png", "jpeg": ".jpg", "webp": ".webp"})

_FORMATS: Final = ("PNG", "JPEG", "WEBP")
_KEY: Final = "batchgen-sheet"
"""Of the text in a PNG that tells one content from another."""

_SAID: Final = re.compile(rb'batchgen:sheet="([0-9a-f]{64})"')
"""The same in XMP, which JPEG and WebP have."""

_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

DAMAGED: Final = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises of a file that is no whole picture, or of one that nobody could show."""

_MOST_TOLD: Final = 4000
"""Characters of each text about a sheet: a JPEG has room for 64 KB of XMP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Printing:
    """What a person chose of how sheets look."""

    format: SheetFormat = "png"
    cell: int | None = None
    """Pixels of the longer side of a place, 16 to 2048, or a little less, for small pictures are enlarged by a whole
    number; None: as large as the pictures, within bounds."""
    columns: int | None = None
    """Pictures beside one another, at most; None: as many as there are, or without a grid about as many as rows."""
    grid: bool = True
    """False: the pictures one after another, each with its values beneath."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imprint:
    """What a sheet's file says of itself."""

    said: str
    """64 hex digits that tell one content from another."""
    title: str
    description: str
    """Lines for people: run, model, axes."""


def shows(path: Path) -> str | None:
    """Say what the sheet at `path`, a picture, says that it shows; None where there is no sheet, or a link to one."""
    try:
        if path.is_symlink() or is_no_file(path):
            return None
        with Image.open(path, formats=_FORMATS) as sheet:
            return _said(sheet.info)
    except DAMAGED:
        return None


def _said(info: Mapping[Any, Any]) -> str | None:
    told = info.get(_KEY)
    if isinstance(told, str):
        return told
    packet = info.get("xmp")
    found = _SAID.search(packet) if isinstance(packet, bytes) else None
    return found[1].decode() if found else None


def save(sheet: Image.Image, path: Path, imprint: Imprint) -> None:
    """Write a sheet in the format that its suffix names: beside its place, then renamed, so that nobody sees half.

    Raises:
        TryLater: no room.
        StoreError: it cannot be written.
    """
    buffer = io.BytesIO()
    if path.suffix == ".png":
        sheet.save(buffer, "PNG", compress_level=4, pnginfo=_text_chunks(imprint))
    elif path.suffix == ".jpg":
        sheet.save(buffer, "JPEG", quality=92, subsampling=0, optimize=True, xmp=_xmp(imprint))
    else:
        sheet.save(buffer, "WEBP", quality=90, method=2, xmp=_xmp(imprint))
    with said_plainly(path):
        write_atomic(path, buffer.getvalue(), path.parent)


def remove_others(folder: Path, written: Iterable[Path]) -> None:
    """Remove the sheets in `folder` that show what is no longer asked for; files of other kinds stay."""
    found = {path for suffix in SUFFIXES.values() for path in folder.glob(f"*{suffix}")}
    for path in found - set(written):
        if shows(path) is not None:
            path.unlink()


def _text_chunks(imprint: Imprint) -> PngInfo:
    text = PngInfo()
    text.add_text(_KEY, imprint.said)
    for key, value in _words(imprint).items():
        text.add_itxt(key, value)
    return text


def _words(imprint: Imprint) -> dict[str, str]:
    """Return the texts about a sheet, by the keys that the PNG standard has for them."""
    told = {"Title": imprint.title, "Description": imprint.description, "Software": f"batchgen {__version__}"}
    return {key: value[:_MOST_TOLD].encode(errors="replace").decode() for key, value in told.items()}


def _xmp(imprint: Imprint) -> bytes:
    words = {key: escape(_NOT_IN_XML.sub("\ufffd", value)) for key, value in _words(imprint).items()}
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:batchgen="urn:batchgen"'
        f' batchgen:sheet="{imprint.said}" xmp:CreatorTool="{words["Software"]}">'
        f"<dc:title>{_in_any_language(words['Title'])}</dc:title>"
        f"<dc:description>{_in_any_language(words['Description'])}</dc:description>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
    return packet.encode()


def _in_any_language(text: str) -> str:
    return f'<rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt>'
