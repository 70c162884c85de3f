"""The text that a reader of a page sees."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.html import read
from storage.tags import bounded

TAGS = """< > x ' " = { } / &amp; <p> </p> <b> </b> <div> </div> <table> <td> </table> <ul> <li> <a <!-- --> <style>
</style> <script> </script> <svg> <select>
<p\tstyle=display:none> <title> </title> <textarea> <template> <pre> </pre> \x00"""
PIECES = st.lists(st.sampled_from(TAGS.split()), max_size=30).map("".join)


@pytest.mark.parametrize(
    "page",
    [
        "<!doctype html><html><head><title>T</title><meta charset=utf-8><body><p>Nine.",
        "<HTML><HEAD><TITLE>T</TITLE><BODY><P>Nine.",
        "<title>T</title><p>Nine.",
        "<title>T</title>Nine.",
        "<html><head><title>T</title></head>Nine.</html>",
        "<?xml version='1.0'?><html><head><script src='a'/><title>T</title></head><body>Nine.</body></html>",
    ],
)
def test_tags_that_html_5_lets_a_page_leave_out_cost_no_text(page: str) -> None:
    assert read(page.encode()) == ("Nine.", "T", 0)


@pytest.mark.parametrize(
    ("label", "encoding", "text"),
    [
        ("iso-8859-1", "cp1252", "\u201cthe ferry\u201d 5 \u20ac"),
        ("latin1", "cp1252", "\u201cthe ferry\u201d"),
        ("us-ascii", "cp1252", "caf\u00e9"),
        ("gb2312", "gb18030", "\u9555\u5586"),
        ("shift_jis", "cp932", "\u2460\u9ad9"),
        ("x-sjis", "cp932", "\u2460"),
        ("ks_c_5601-1987", "cp949", "\ub620"),
        ("iso-2022-jp", "iso2022_jp", "\u65e5\u672c\u8a9e"),
        ("euc-jp", "euc_jp", "\u65e5\u672c\u8a9e"),
        ("windows-1251", "cp1251", "\u0411\u0430\u0440\u0436\u0430"),
        ("iso-8859-9", "cp1254", "\u011f\u0131"),
        ("tis-620", "cp874", "\u0e01\u0e02"),
        ("utf-7", "utf-8", "caf\u00e9"),
        ("utf-16", "utf-8", "caf\u00e9"),
        ("nonsense", "utf-8", "caf\u00e9"),
        ("iso-8859-1", "utf-8", "caf\u00e9 was written anew under an old label"),
    ],
)
def test_a_label_means_what_it_means_to_a_browser(label: str, encoding: str, text: str) -> None:
    for page in (f"<meta charset='{label}'><p>{text}", f'<meta content="text/html; charset={label}">{text}'):
        assert read(page.encode(encoding)).text == text


def test_a_label_in_a_comment_says_nothing() -> None:
    assert read(b"<!-- <meta charset=shift_jis> --><meta charset=windows-1252>caf\xe9").text == "caf\u00e9"


HIDING = [
    "display:none", "DISPLAY : NONE !important", "visibility:hidden", "visibility: collapse", "opacity:0",
    "opacity:0.01", "opacity:1%", "font-size:0", "font-size:0px", "font-size: 1px", "font:0/0 a",
    "position:absolute;left:-9999px", "position:fixed;top:-200vh", "position:absolute;right:-100em",
    "position:absolute;left:99999px", "text-indent:-9999px", "margin-left:-9999px", "color:transparent",
    "color:rgba(0,0,0,0)", "color:#0000", "width:0;overflow:hidden", "height:1px;width:1px;overflow:hidden",
    "position:absolute;clip:rect(0 0 0 0)", "transform:scale(0)", "position:absolute;clip-path:inset(50%)",
    "d\\69splay:none", "display/**/:/**/none", "background:url(a;b);opacity:0", "content:';';display:none",
    "color:red;display:none;display:none", "color:#fff;background:#ffffff", "color:white;background-color:#FEFEFE",
    "background:no-repeat rgb(0, 0, 0) 0 0;color:black", "color:rgb(100% 100% 100%);background:white",
    "color:teal;background-color:teal",
]  # fmt: skip
SHOWING = [
    "", "color:red", "display:block", "opacity:1", "opacity:.5", "font-size:10px", "font-size:0.9em", "font:12px a",
    "position:absolute;left:0", "left:-9999px", "text-indent:-1em", "visibility:visible", "display:none;display:block",
    "content:'display:none'", "background:url(display:none)", "width:0", "overflow:hidden", "color:#000f",
    "displays:none", "display:none!important;display:block!important", "top:-2px;position:relative",
    "width:100%;overflow:hidden", "color:#fff", "background:white", "color:#fff;background:#000",
    "color:white;background:url(a) white",
    "color:#fff;background:white;text-shadow:0 0 2px #000", "color:white;background:rgba(255,255,255,.2)",
    "color:white;background-color:white;background-image:linear-gradient(red,blue)",
]  # fmt: skip


@pytest.mark.parametrize("style", HIDING)
def test_what_a_style_hides_is_left_out_and_counted(style: str) -> None:
    page = f"<style>.a{{{style}}}</style><p>seen<p class='a b'>hid<b>den</b></p><p>too"
    for found in (read(f'<p>seen<p style="{style}">hid<b>den</b></p><p>too'.encode()), read(page.encode())):
        assert found == ("seen\ntoo", None, 6)


@pytest.mark.parametrize("style", SHOWING)
def test_what_no_style_hides_is_there(style: str) -> None:
    page = f"<style>.a{{{style}}}</style><p>seen<p class='a b'>too"
    for found in (read(f'<p>seen<p style="{style}">too'.encode()), read(page.encode())):
        assert found == ("seen\ntoo", None, 0)


@pytest.mark.parametrize(
    "sheet",
    [
        ".x{display:none}",
        "#y{display:none}",
        "em{display:none}",
        "EM.x#y{display:none}",
        "p em{display:none}",
        "div > p > em{display:none}",
        "div em, nothing{display:none}",
        "@media screen{em{display:none}}",
        "@layer a{em{display:none}}",
        "@charset 'x'; em{display:none",
        "em{color:red} /* em{ */ em{display:none}",
        "em{display:block} .x{display:none}",
        "#y{display:none} em.x{display:block}",
        ".x{display:none!important} #y{display:block}",
        "*{} .x{content:'}';display:none}",
        "em:hover{display:block} em{display:none}",
    ],
)
def test_a_rule_of_the_pages_own_sheet_hides_what_it_names(sheet: str) -> None:
    body = "<div><p>seen <em class='w x' id=y>hidden</em> too</p></div>"
    assert read(f"<style>{sheet}</style>{body}".encode()) == ("seen too", None, 6)


@pytest.mark.parametrize(
    "sheet",
    [
        ".X{display:none}",
        ".x .x{display:none}",
        "div > em{display:none}",
        "em > p{display:none}",
        "em{display:none} .x{display:inline}",
        "em:hover{display:none}",
        "em[a]{display:none}",
        "em + em{display:none}",
        "@media print{em{display:none}}",
        "@media (max-width: 600px){em{display:none}}",
        "@font-face{display:none} /* em{display:none} */",
        "x{a:'em{display:none}'}",
        "#y{display:inline} em{display:none}",
    ],
)
def test_a_rule_that_does_not_hold_hides_nothing(sheet: str) -> None:
    body = "<div><p>seen <em class='w x' id=y>shown</em> too</p></div>"
    assert read(f"<style>{sheet}</style>{body}".encode()) == ("seen shown too", None, 0)


def test_a_child_shows_again_what_a_browser_lets_it_show() -> None:
    assert read(b"<p style='visibility:hidden'>a<b style='visibility:visible'>b</b></p>") == ("b", None, 1)
    assert read(b"<p style='font-size:0'>a<i style='font-size:9px'>b</i><i style='font-size:2em'>c") == ("b", None, 2)
    assert read(b"<p style='width:0;overflow:hidden'>a<i style='position:fixed'>b</i>") == ("b", None, 1)
    assert read(b"<p style='display:none'>a<b style='display:inline;visibility:visible'>b</b></p>").text == ""
    assert read(b"<p hidden>a</p><p hidden style='display:block'>b</p>").text == "b"


def test_letters_are_held_against_what_they_stand_on() -> None:
    page = (
        b"<body bgcolor=WHITE>a<font color=#fff>b<a href=x>link</a><a>c</a><mark>mark</mark><button>go</button></font>d"
    )
    assert read(page) == ("alinkmarkgod", None, 2)
    assert (
        read(b"<style>body{background:#fff}.x{color:#fff}</style>a<p class=x>b<b style='background:navy'>c</b>").text
        == "a\nc"
    )
    assert read(b"<div style='background:white'><p style='color:white;position:absolute'>a</p></div>").text == "a"


def test_a_page_deeper_than_a_browser_shows_keeps_its_text() -> None:
    for start in ["<div>", "<div class=a>", "<span>", "<font color=red>", "<b id=1>", "<ul><li>"]:
        end = "</div>" if start == "<div>" else ""
        page = f"{start * 5_000}deep{end * 5_000}<p>last<p hidden>no</p>" + "<p>more <b>x</b>" * 3
        assert read(page.encode()) == ("deep\nlast\nmore x\nmore x\nmore x", None, 2)
    many = " ".join(f"a{n}" for n in range(5_000))
    assert read(f"<p {many} style='opacity:0'>a</p><p {many}>b".encode()) == ("b", None, 1)


@settings(max_examples=300, deadline=None)
@given(PIECES)
def test_any_page_is_read(page: str) -> None:
    read(page.encode())
    assert bounded(page) == page  # no page of a few tags is touched
