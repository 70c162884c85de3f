"""The nine o'clock page: of a store with nights behind it, of an empty one, of one that an earlier version wrote."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from commands import tidemark, told
from mornings import HOSTILE, MORNING, Histories
from oldstore import copied

from flows.config.schema import Config
from flows.report.facts import Facts
from flows.report.gather import gather
from flows.report.markdown import write_report
from flows.report.page import write_page
from storage.outcome import Outcome

SECTIONS = (
    *("What to do", "Checks", "What changed", "Refused", "Sources", "Quality", "Drift", "Map of the corpus"),
    *("Releases", "Nights", "Seconds and tokens", "Storage"),
)
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page strictly: what opens closes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "h2" in self.open:
            self.headings.append(data)
        if "style" not in self.open:
            self.text += data


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Histories:
    made = Histories(tmp_path_factory.mktemp("rich"), keep=4, night=13)
    for night in range(6):
        release = made.publish(30 if night == 0 else 3, *([HOSTILE] if night == 5 else []), refused=[f"{night}.md"])
        made.drift(release, 0.002 + night / 1_000, alarm=night == 5)
        if night == 2:
            made.rollback()
            made.hold("the office <b>moves</b>")
            made.end(Outcome.UNCHANGED, "nothing changed")
    made.measure(release)
    return made


def facts(made: Histories, release: int | None = None) -> Facts:
    return gather(made.config, release, now=MORNING)


def test_the_page_has_every_section_fetches_nothing_and_runs_nothing(rich: Histories) -> None:
    text = write_page(facts(rich))
    page = Page(text)
    assert [name for name in SECTIONS if not any(name in heading for heading in page.headings)] == []
    assert not {"script", "img", "link", "iframe", "object", "embed", "form"} & {tag for tag, _ in page.tags}
    assert not [at for _, at in page.tags if {"src", "href", "xlink:href", "onerror", "onload"} & set(at)]
    assert "url(" not in text and "@import" not in text
    ids = [at["id"] for _, at in page.tags if "id" in at]
    assert len(ids) == len(set(ids))
    assert len([tag for tag, _ in page.tags if tag == "svg"]) >= 10
    assert len(text) < 3_000_000


def test_what_documents_bring_is_text_and_secrets_are_masked(rich: Histories) -> None:
    text = write_page(facts(rich))
    assert HOSTILE[0] in Page(text).text
    assert "<script>" not in text and "<img" not in text and "<b>" not in text and "<i>de" not in text
    assert "secret" not in text and "abcdef" not in text
    markdown = write_report({"seconds": {"scan": 1.0}}, facts(rich))
    assert "<" not in markdown and "secret" not in markdown and "abcdef" not in markdown


def test_the_page_says_what_a_person_needs_at_nine(rich: Histories) -> None:
    text = " ".join(Page(write_page(facts(rich))).text.split())
    for part in (
        "Release 7 is published, 6 hours old.",
        "10 documents added",
        "Drift alarm: mean_difference (embeddings)",
        "6 documents in quarantine, 1 new in the last run",
        "All 1 checks hold. The index finds 98.0% of what exact search finds",
        "back to 2",
        "the office <b>moves</b>",
        "tidemark diff 6 7",
    ):
        assert part in text


def test_the_same_store_gives_the_same_page_byte_by_byte(rich: Histories) -> None:
    assert write_page(facts(rich)) == write_page(facts(rich))


def test_an_earlier_release_is_shown_as_on_the_morning_after_it(rich: Histories) -> None:
    text = Page(write_page(facts(rich, 5))).text
    assert "Release 5" in text and "Release 7" not in text


def test_a_store_without_a_release_gets_a_sentence_for_each_section(tmp_path: Path) -> None:
    config = Config.from_mapping({"store": {"uri": "store"}}, tmp_path)
    text = write_page(gather(config, now=MORNING))
    page = Page(text)
    assert "Nothing is published yet." in page.text and "tidemark refresh" in page.text
    assert "svg" not in {tag for tag, _ in page.tags}
    assert not (tmp_path / "store").exists()  # it reads only


def test_a_store_of_an_older_format_is_told_and_not_touched(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    config = Config.load(folder / "tidemark.toml")
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    text = Page(write_page(gather(config, now=MORNING.replace(year=2030)))).text
    assert "No night has measured drift yet." in text and "No release was measured yet" in text
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("outcome", "message", "said", "command"),
    [
        (Outcome.NEEDS_APPROVAL, "run `tidemark refresh --accept-stale`", "waits for your approval", "--accept-stale"),
        (Outcome.REFUSED, "the audit failed", "was refused", "tidemark show"),
        (Outcome.FAILED, "OSError: no", "failed", "tidemark show"),
        (Outcome.UNCHANGED, "nothing changed", "Nothing changed: release 1, 30 hours old, serves on.", "tidemark"),
    ],
)
def test_the_headline_says_how_the_last_night_ended(
    tmp_path: Path, outcome: Outcome, message: str, said: str, command: str
) -> None:
    made = Histories(tmp_path, night=18)
    made.publish(2, refused=["a.md"])
    made.end(outcome, message)
    text = Page(write_page(gather(made.config, now=MORNING))).text
    assert said in text and command in text


def test_the_command_writes_the_file_and_says_where(published: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    found = told(published, "report", "-o", str(file))
    assert (found["file"], found["release"], found["verdict"]) == (str(file), 2, "good")
    assert re.search("Release 2 is published, .* old", json.dumps(found))
    assert Page(file.read_text(encoding="utf-8")).headings
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_page_that_cannot_be_written_is_told_in_a_line(published: Path, tmp_path: Path) -> None:
    too_long = "n" * 250 + ".html"  # with what its draft is called besides
    for name, said in (("none/page.html", "is no folder"), (".", "is a folder"), (too_long, "File name too long")):
        done = tidemark(published, "report", "-o", str(tmp_path / name))
        assert (done.exit_code, said in done.stderr) == (2, True)
    assert not list(tmp_path.iterdir())
