"""A secret that stands in any place of the configuration turns up nowhere: tables, files, logs, messages, reports."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from corpus import configure, prose
from inbox import webhook

from flows.audit import audit
from flows.cli.output import plain
from flows.config.schema import Config
from flows.refresh import refresh
from flows.report.gather import gather
from flows.report.markdown import write_report
from storage import redaction
from storage.errors import InputError, SourceFailed, summary
from storage.sources.base import DOCUMENTS, LISTING
from storage.tables.runs import Runs
from storage.tables.store import Store

CANARY = "canary-b81f0c"  # every secret below holds it
KEYS = (
    *("apikey", "pwd", "auth", "authorization", "bearer", "pat", "cookie", "accesskey", "connection_string", "dsn"),
    *("password", "api_key", "token", "anything"),
)
PARAMETERS = ("auth", "pwd", "pass", "code", "access", "sig", "token", "k")


def secret(place: str) -> str:
    return f"{CANARY}-{place}"


class Leaky:
    """A source of one's own that says and logs all that it knows."""

    def __init__(self, config: Any, base: Path) -> None:
        self.name, self.config = config.name, config

    def list(self) -> Iterator[Any]:
        """One document; where it is asked to, it fails and tells its configuration."""
        import polars as pl

        told = json.dumps(self.config.model_extra)
        logging.getLogger("storage.leaky").warning("asking with %s", told)
        if self.config.model_extra.get("fails") == "yes it does":
            raise RuntimeError(f"401 for {told}")
        yield pl.DataFrame([("a", "1", 10, None)], schema=LISTING, orient="row")

    def read(self, ids: Any) -> Iterator[Any]:
        """It."""
        import polars as pl

        row = {"id": "a", "text": prose("leak", 3), "revision": "1"}
        yield pl.DataFrame([row], schema=DOCUMENTS, orient="row")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What one test hides is none of the next one's business."""
    before = set(redaction._hidden)
    yield
    redaction._hidden.clear()
    redaction._hidden.update(before)


def planted(base: Path, monkeypatch: pytest.MonkeyPatch, address: str = "https://127.0.0.1:9", **more: Any) -> Config:
    monkeypatch.setenv("HOOK_OF_TEST", f"{address}/{secret('hook')}?t={secret('hook-query')}")
    own: dict[str, Any] = {name: secret(name) for name in KEYS} | more
    own |= {"headers": {"Authorization": f"Bearer {secret('header')}"}, "many": [secret("first"), secret("second")]}
    sources = [{"name": "leaky", "kind": f"{__name__}:Leaky", **own}]
    return configure(
        base,
        sources=sources,
        notify=[{"kind": "webhook", "url_env": "HOOK_OF_TEST", "on": ["failed"]}],
        learning={"generator": {"model": "m", "url": "http://127.0.0.1:9/v1", "key": secret("endpoint")}},
    )


def everything(config: Config) -> str:
    """All that the store holds, as rows and as bytes."""
    store = Store(config.store.uri)
    rows = "".join(str(store.open(name).to_table().to_pylist()) for name in store.tables())
    files = (path for path in Path(config.store.uri).parent.rglob("*") if path.is_file())
    return rows + "".join(path.read_bytes().decode("latin-1") for path in files)


def test_no_secret_of_a_source_a_message_or_an_endpoint_is_kept_or_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(redaction.Discreet())
    config = planted(tmp_path, monkeypatch)
    told = [config.to_json(), refresh(config).message, str(audit(config, deep=True).to_dict())]
    failing = planted(tmp_path, monkeypatch, fails="yes it does")
    with pytest.raises(Exception, match="401 for") as error:
        refresh(failing)
    told += [summary(error.value), str(gather(config)), caplog.text, everything(config)]
    assert [CANARY in text for text in told] == [False] * len(told)
    assert '"apikey": "***"' in told[0]


def test_no_secret_is_posted_or_put_on_the_dashboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook() as inbox:
        address = inbox.url.partition("/hook")[0]
        config = planted(tmp_path, monkeypatch, address)
        result = refresh(config)
        with pytest.raises(SourceFailed, match="401 for"):
            refresh(planted(tmp_path, monkeypatch, address, fails="yes it does"))
        bodies = [json.dumps(message) for message in inbox.messages]
    assert any("401 for" in body for body in bodies)
    # What the artifacts of a run, of its report and of an audit are made of.
    reports = [write_report(report, gather(config)) for report in (plain(result), failed(config))]
    assert "401 for" in reports[1]
    told = [*bodies, *reports, str(plain(audit(config, deep=True).to_dict()))]
    assert [CANARY in text for text in told] == [False] * len(told)


def failed(config: Config) -> dict[str, Any]:
    """The last run as its report is given it."""
    [row, *_] = Runs(Store(config.store.uri)).all()
    assert row["outcome"] == "failed"
    return {name: row[name] or {} for name in ("run", "outcome", "message", "counts", "seconds")}


def test_what_is_named_harmless_is_shown(tmp_path: Path) -> None:
    source = {
        "name": "leaky",
        "kind": f"{__name__}:Leaky",
        "table": "tickets",
        "pin": secret("pin"),
        "shown": ["table"],
    }
    config = configure(tmp_path, sources=[source])
    [told] = json.loads(config.to_json())["sources"]
    assert told == source | {"pin": "***", "licence": None}
    assert config.sources[0].identity()["pin"] == secret("pin")  # another secret may give other documents


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_no_parameter_of_a_url_is_shown(tmp_path: Path, parameter: str) -> None:
    url = f"http://127.0.0.1:9/x.jsonl?{parameter}={CANARY}"
    source = {"name": "web", "kind": "jsonl", "path": url, "columns": {"id": "id", "text": "text"}}
    config = configure(tmp_path, sources=[source])
    assert CANARY not in config.to_json()
    assert CANARY not in str(InputError(f"nothing is at {url!r}, tried {url}, <{url}>"))
