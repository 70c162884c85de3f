"""The automations as code: what they are for a configuration, and that applying them again changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from corpus import configure
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client

from flows.config.schema import Config
from flows.dashboard.watching import LOOP, automated
from flows.services.applying import apply
from flows.services.automations import FILE, automation_name, wanted
from flows.services.errors import ServicesError
from storage.errors import InputError
from tasks.watch.notify import Event, NotifyConfig

FOLDER = Path(__file__).parents[3] / "deployments"
ADDRESSES = {"TIDEMARK_HOOK": "https://hooks.example.org/s3cret", "TIDEMARK_SLACK": "https://slack.example.org/s3cret"}
HOOK = {"kind": "webhook", "url_env": "TIDEMARK_HOOK"}
SLACK = {"kind": "slack", "url_env": "TIDEMARK_SLACK", "on": ["died", "drift"]}
MAIL = {"kind": "mail", "url_env": "TIDEMARK_MAIL", "on": ["died"]}


def configured(base: Path, *notify: dict[str, Any], retrain: bool = False) -> Config:
    return configure(base, drift={"retrain": retrain}, notify=list(notify), limits={"stale_hours": 30})


def names(base: Path, *notify: dict[str, Any], **given: Any) -> list[str]:
    return [each.name for each in wanted(FOLDER / FILE, configured(base, *notify, **given), ADDRESSES)]


def test_the_loop_is_at_work_where_the_configuration_says_so(tmp_path: Path) -> None:
    assert names(tmp_path) == [LOOP]
    for config, works in [(None, False), (configured(tmp_path), False), (configured(tmp_path, retrain=True), True)]:
        (loop,) = wanted(FOLDER / FILE, config, {})
        assert (loop.enabled, loop.deployment, loop.parameters) == (works, "retrain/retrain", {"proposed": True})


def test_each_notice_is_told_to_whom_it_concerns_and_has_an_address(tmp_path: Path) -> None:
    assert names(tmp_path, HOOK, SLACK, MAIL)[1:] == [
        "Tidemark: tell webhook $TIDEMARK_HOOK of died",
        "Tidemark: tell slack $TIDEMARK_SLACK of died",
        "Tidemark: tell webhook $TIDEMARK_HOOK of failed",
        "Tidemark: tell webhook $TIDEMARK_HOOK of stale",
    ]
    assert names(tmp_path, HOOK | {"url_env": "TIDEMARK_UNSET"}) == [LOOP]
    target = NotifyConfig.model_validate(SLACK)
    assert automation_name(Event.DIED, target) == "Tidemark: tell slack $TIDEMARK_SLACK of died"


def test_no_name_or_payload_or_text_of_an_automation_holds_an_address(tmp_path: Path) -> None:
    for each in wanted(FOLDER / FILE, configured(tmp_path, HOOK, SLACK), ADDRESSES):
        assert "s3cret" not in f"{each!r} {each.payload}"


def test_what_prefect_fills_in_is_the_json_that_a_run_posts(tmp_path: Path) -> None:
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment()
    environment.filters["ui_url"] = lambda run: f"http://here/{run['name']}"
    run = {"name": 'night "1"', "state": {"message": "it\nended"}}
    given = {"flow_run": run, "flow": {"name": "refresh"}}
    told = {}
    for each in wanted(FOLDER / FILE, configured(tmp_path, HOOK, SLACK), ADDRESSES)[1:]:
        told[each.name.removeprefix("Tidemark: tell ")] = json.loads(
            environment.from_string(each.payload).render(**given)
        )
    assert told["webhook $TIDEMARK_HOOK of died"] == {
        "event": "died",
        "run": 'night "1"',
        "release": None,
        "message": "refresh: it\nended",
        "url": 'http://here/night "1"',
    }
    assert told["slack $TIDEMARK_SLACK of died"] == {
        "text": 'tidemark died: refresh: it\nended night "1" http://here/night "1"'
    }
    assert told["webhook $TIDEMARK_HOOK of stale"]["run"] is None


def test_a_file_that_says_something_else_is_named(tmp_path: Path) -> None:
    file = tmp_path / FILE
    for text in ("automations: [{}]", "notices: [{event: died}]", "{", "3"):
        file.write_text(text)
        with pytest.raises(InputError, match=FILE):
            wanted(file, configured(tmp_path, HOOK), ADDRESSES)


def test_the_file_names_no_place_and_deployments_that_are_there() -> None:
    data = yaml.safe_load((FOLDER / FILE).read_text())
    there = {
        f"{row['entrypoint'].rpartition('.')[2]}/{row['name']}"
        for row in yaml.safe_load((FOLDER / "prefect.yaml").read_text())["deployments"]
    }
    assert {row["run"]["deployment"] for row in data["automations"]} <= there


@pytest.fixture
def client(prefect: None, tmp_path: Path) -> Iterator[SyncPrefectClient]:
    """A server with the deployment that the loop starts."""

    @flow
    def retrain(config: str = "", proposed: bool = False) -> None: ...

    with get_client(sync_client=True) as opened:
        identity = opened.create_flow(retrain)
        opened.create_deployment(identity, "retrain")
        automated.cache_clear()
        yield opened
        for each in opened.read_automations():
            opened.delete_automation(each.id)
        automated.cache_clear()


def test_applied_twice_there_is_one_of_each_and_one_block_an_address(client: SyncPrefectClient, tmp_path: Path) -> None:
    config = configured(tmp_path, HOOK, SLACK, retrain=True)
    listed = wanted(FOLDER / FILE, config, ADDRESSES)
    assert not automated(LOOP)
    automated.cache_clear()
    assert apply(client, listed) == [each.name for each in listed]
    first = {each.id: each.name for each in client.read_automations()}
    assert sorted(first.values()) == sorted(each.name for each in listed)
    assert apply(client, listed) == []
    assert {each.id: each.name for each in client.read_automations()} == first
    blocks = [
        each for each in client.read_block_documents(include_secrets=False) if str(each.name).startswith("tidemark-")
    ]
    assert sorted(str(each.name) for each in blocks) == [
        "tidemark-slack-tidemark-slack",
        "tidemark-webhook-tidemark-hook",
    ]
    assert "s3cret" not in str([each.model_dump() for each in blocks])
    assert automated(LOOP)


def test_what_differs_is_changed_and_what_nobody_wants_is_taken_away(client: SyncPrefectClient, tmp_path: Path) -> None:
    apply(client, wanted(FOLDER / FILE, configured(tmp_path, HOOK, SLACK), ADDRESSES))
    assert not automated(LOOP)  # it is there, and switched off
    automated.cache_clear()
    identities = {each.name: each.id for each in client.read_automations()}
    moved = ADDRESSES | {"TIDEMARK_HOOK": "https://hooks.example.org/0ther"}
    changed = apply(client, wanted(FOLDER / FILE, configured(tmp_path, HOOK, retrain=True), moved))
    assert changed == [LOOP, "Tidemark: tell slack $TIDEMARK_SLACK of died"]
    assert automated(LOOP)
    kept = {each.name: each.id for each in client.read_automations()}
    assert kept.items() <= identities.items()
    assert len(kept) == len(identities) - 1
    block = client.read_block_document_by_name("tidemark-webhook-tidemark-hook", "webhook", include_secrets=True)
    assert block.data["url"] == moved["TIDEMARK_HOOK"]


def test_a_deployment_that_is_not_there_is_named(client: SyncPrefectClient, tmp_path: Path) -> None:
    listed = wanted(FOLDER / FILE, configured(tmp_path), {})
    for each in client.read_deployments():
        client.delete_deployment(each.id)
    with pytest.raises(ServicesError, match="starts retrain/retrain, which is no deployment"):
        apply(client, listed)
