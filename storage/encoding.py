"""Bytes to text: by the byte order mark, as UTF-8, by a label as browsers understand it, or by what it looks like."""

from __future__ import annotations

import codecs
import re

__all__ = ["DETECT", "UTF_8", "codec", "decode", "html_text", "stream_codec"]

UTF_8 = "utf-8"
DETECT = "detect"

# UTF-32 before UTF-16, whose mark it begins with.
_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# Where Python has a codec that reads more of what is written under a label, as browsers do.
_WIDER = {"gbk": "gb18030", "euc-jp": "euc_jis_2004", "iso-2022-jp": "iso2022_jp_ext"}
_DECLARED = 4_096  # bytes in which a page says what it is written in
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(rb"<meta\b[^>]*?\bcharset\s*+=\s*+[\"']?+\s*+([\w.:-]++)", re.IGNORECASE)
_XML = re.compile(rb"\A\s*+<\?xml\b[^>]*?\bencoding\s*+=\s*+[\"']([\w.:-]++)", re.IGNORECASE)
_SAMPLE = 64 * 1024  # bytes that detection looks at
# What texts outside UTF-8 are written in; a detector that may choose among all there are names rare ones for Latin-1.
_LIKELY = "cp1252 cp932 euc_jp gb18030 big5 cp949 cp1251 koi8_r cp1250 cp1253 cp1254 cp1255 cp1256 cp1257 cp874"
_ALIKE = {"cp1250": "cp1252", "cp1257": "cp1252", "cp949": "euc_jp"}
_NEAR = 0.15  # of the detector's measure of how much a text is like a language, between 0 and 1


def decode(raw: bytes, encoding: str = UTF_8) -> str:
    """Decode a text; what is invalid becomes U+FFFD, which validation refuses.

    A byte order mark tells the encoding, whatever was asked for.

    Args:
        raw: The bytes.
        encoding: A label of the WHATWG's table (`windows-1252`, `shift_jis`), or `detect`: UTF-8 where the text is
            valid as such, else what it looks like.

    Raises:
        ValueError: There is no such encoding.
    """
    for bom, named in _BOMS.items():
        if raw.startswith(bom):
            return raw[len(bom) :].decode(named, errors="replace")
    if encoding == DETECT:
        try:
            return raw.decode(UTF_8)
        except UnicodeDecodeError:
            return raw.decode(_detected(raw), errors="replace")
    return raw.decode(codec(encoding), errors="replace")


def stream_codec(start: bytes, encoding: str = UTF_8) -> str:
    """Tell the codec of a stream, which takes a byte order mark away, by what it begins with.

    Args:
        start: The first bytes; what `detect` looks at.
        encoding: What it is written in where it has no mark, as `decode` takes it.

    Raises:
        ValueError: There is no such encoding.
    """
    mark = next((named for bom, named in _BOMS.items() if start.startswith(bom)), None)
    if mark is not None:
        return "utf-8-sig" if mark == UTF_8 else mark.removesuffix("-le").removesuffix("-be")
    if encoding == DETECT:
        try:
            codecs.getincrementaldecoder(UTF_8)().decode(start)  # which may end within a character
        except UnicodeDecodeError:
            return _detected(start)
        return UTF_8
    return codec(encoding)


def codec(label: str) -> str:
    """Find Python's codec for a label of the WHATWG's table, which reads `iso-8859-1` as `windows-1252`.

    Raises:
        ValueError: There is no such label, or it stands for bytes that nobody may decode.
    """
    if label.strip().lower() in ("utf-8", "utf8"):
        return UTF_8
    from webencodings import lookup  # which most sources never need

    found = lookup(label)
    if found is None or found.name in ("replacement", "x-user-defined"):
        raise ValueError(
            f"there is no encoding {label!r}; write a label that browsers know, such as utf-8, windows-1252, shift_jis "
            "or gb18030, or detect"
        )
    return str(_WIDER.get(found.name, found.codec_info.name))


def html_text(raw: bytes, encoding: str = UTF_8) -> str:
    """Decode a page: by its mark, as UTF-8 where it is valid, by the label that it names, or else as asked.

    Valid UTF-8 outweighs the label, unlike in a browser: pages were often written anew under an old label, and text of
    another encoding that happens to be valid UTF-8 is rare.

    Args:
        raw: The bytes.
        encoding: What a page is written in that says nothing, as `decode` takes it.
    """
    if raw.startswith(tuple(_BOMS)):
        return decode(raw)
    declared = _declared(raw)
    # ISO-2022-JP is written in ASCII alone: what it says is seen by its label only.
    if declared != "iso2022_jp_ext" or b"\x1b" not in raw:
        try:
            return raw.decode(UTF_8)
        except UnicodeDecodeError:
            pass
    if declared is None or declared == UTF_8 or declared.startswith("utf-16"):
        return decode(raw, encoding)
    return raw.decode(declared, errors="replace")


def _declared(raw: bytes) -> str | None:
    """The codec that a page's first `<meta>` or its XML declaration names; None where it names none that there is."""
    head = _COMMENT.sub(b"", raw[:_DECLARED])
    for found in (*_META.finditer(head), *_XML.finditer(head)):
        try:
            return codec(found[1].decode("ascii"))
        except ValueError:
            continue
    return None


def _detected(raw: bytes) -> str:
    from charset_normalizer import from_bytes

    # The sample ends at a line, so that no character is cut in two where lines are ended.
    sample = raw[:_SAMPLE].rpartition(b"\n")[0] if len(raw) > _SAMPLE else raw
    found = from_bytes(sample or raw[:_SAMPLE], cp_isolation=_LIKELY.split())
    best = found.best()
    if best is None:
        return "cp1252"
    # Where two read alike, the one that more people write in; the detector names the first of the alphabet.
    alike = _ALIKE.get(best.encoding)
    for other in found:
        if other.encoding == alike and other.chaos <= best.chaos and other.coherence >= best.coherence - _NEAR:
            return alike
    return best.encoding
