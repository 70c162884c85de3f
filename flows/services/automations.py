"""The automations as code: what the YAML file and `[[notify]]` want, brought to a Prefect server without doubling."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import InputError
from tasks.watch.notify import Event, NotifyConfig

if TYPE_CHECKING:
    from flows.config.schema import Config

__all__ = ["FILE", "PREFIX", "Address", "Wanted", "automation_name", "block_name", "wanted"]

FILE = "automations.yaml"
PREFIX = "Tidemark: tell "  # of the names of notices: one that is wanted no more is taken away by it
_BLOCKS = ("webhook", "slack")  # Prefect itself has no block for mail: the next run sends it


@dataclass(frozen=True)
class Address:
    """What a block holds.

    Attributes:
        name: Of the block.
        url: The address, a secret.
    """

    name: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class Wanted:
    """One automation.

    Attributes:
        name: By which it is known.
        description: For the dashboard.
        enabled: It is at work.
        trigger: As Prefect takes it.
        deployment: The `flow/name` that it starts; None for a notice.
        parameters: Of what it starts.
        address: Whom it tells; None where it starts something.
        payload: The template of what it tells.
    """

    name: str
    description: str
    enabled: bool
    trigger: Mapping[str, Any]
    deployment: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    address: Address | None = None
    payload: str = ""


def automation_name(event: Event, target: NotifyConfig) -> str:
    """The name of the automation that tells an event: by it a run knows that the server does."""
    return f"{PREFIX}{target.kind} ${target.url_env} of {event}"


def block_name(target: NotifyConfig) -> str:
    """The name of the block with an address, as Prefect allows it."""
    return f"tidemark-{target.kind}-{target.url_env}".lower().replace("_", "-")


def wanted(file: Path, config: Config | None, environ: Mapping[str, str]) -> list[Wanted]:
    """What a server should have.

    Args:
        file: The automations, beside the deployments.
        config: The configuration of the folder; None where there is none yet, which nobody is to be told of.
        environ: Variables that hold the addresses; one that is not set makes no automation.

    Raises:
        InputError: The file cannot be read.
    """
    import yaml  # here: who only asks where the file lies needs none

    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        return [
            *(_loop(row, config) for row in data.get("automations") or ()),
            *(each for row in data.get("notices") or () for each in _notices(row, config, environ)),
        ]
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{file}: is no list of automations: {type(error).__name__}: {error}") from error


def _loop(row: Mapping[str, Any], config: Config | None) -> Wanted:
    enabled = bool(_key(config, row["when"])) if "when" in row else True
    run = row["run"]
    trigger = _trigger(row, config)
    return Wanted(
        row["name"], row["description"], enabled, trigger, run["deployment"], dict(run.get("parameters") or {})
    )


def _notices(row: Mapping[str, Any], config: Config | None, environ: Mapping[str, str]) -> Sequence[Wanted]:
    event = Event(row["event"])
    found = []
    for target in () if config is None else config.notify:
        url = environ.get(target.url_env, "").strip()
        if event in target.on and target.kind in _BLOCKS and url:
            name, about = automation_name(event, target), row["description"]
            address, payload = Address(block_name(target), url), _payload(event, row["tell"], target.kind)
            trigger = _trigger(row, config)
            found.append(Wanted(name, about, enabled=True, trigger=trigger, address=address, payload=payload))
    return found


def _trigger(row: Mapping[str, Any], config: Config | None) -> dict[str, Any]:
    trigger = {"type": "event", **row["trigger"]}
    if "within" in row:
        trigger["within"] = 3600 * float(_key(config, row["within"]))
    return trigger


def _payload(event: Event, tell: Mapping[str, str], kind: str) -> str:
    """The template of a message: the JSON that a run itself would post, each text filled in as JSON."""
    if kind == "slack":
        whole = " ".join(filter(None, [f"tidemark {event}: {tell['message']}", tell["run"], tell["url"]]))
        return f'{{"text": {_filled(whole)}}}'
    parts = {"event": json.dumps(str(event)), "run": _filled(tell["run"]) or "null", "release": "null"}
    parts |= {"message": _filled(tell["message"]), "url": _filled(tell["url"]) or '""'}
    return "{" + ", ".join(f'"{name}": {value}' for name, value in parts.items()) + "}"


def _filled(text: str) -> str:
    """A text with `{{ ... }}` in it as one expression of Jinja that gives a JSON string; nothing for no text."""
    if not text:
        return ""
    parts = []
    while text:
        before, _, rest = text.partition("{{")
        inner, _, text = rest.partition("}}")
        parts += [json.dumps(before)] if before else []
        parts += [f"({inner.strip()})"] if inner else []
    return "{{ (" + " ~ ".join(parts) + ") | tojson }}"


def _key(config: Config | None, name: str) -> Any:
    """The value of a key such as `drift.retrain`; its default without a configuration."""
    from flows.config.schema import Config

    found: Any = config or Config.model_validate({})
    for part in name.split("."):
        found = getattr(found, part)
    return found
