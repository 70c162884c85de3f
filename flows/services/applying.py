"""Brings automations, and blocks with addresses, to a Prefect server: what differs is changed, nothing is doubled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flows.services.automations import PREFIX, Address, Wanted
from flows.services.errors import ServicesError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import Automation, AutomationCore

__all__ = ["apply"]


def apply(client: SyncPrefectClient, wanted: Sequence[Wanted]) -> list[str]:
    """Give a server the automations that it should have, and take away notices that nobody wants any more.

    Args:
        client: Of the server.
        wanted: What it should have.

    Returns:
        The names of those that were made or changed.

    Raises:
        ServicesError: A deployment that one of them starts is not there.
    """
    changed = []
    there: dict[str, list[Automation]] = {}
    for each in client.read_automations():
        there.setdefault(each.name, []).append(each)
    for one in wanted:
        core, mine = _core(client, one), there.get(one.name, [])
        for double in mine[1:]:
            client.delete_automation(double.id)
        if not mine:
            client.create_automation(core)
        elif _told(mine[0]) != _told(core):
            client.update_automation(mine[0].id, core)
        else:
            continue
        changed.append(one.name)
    kept = {one.name for one in wanted}
    for name, found in there.items():
        if name.startswith(PREFIX) and name not in kept:
            for each in found:
                client.delete_automation(each.id)
            changed.append(name)
    return changed


def _core(client: SyncPrefectClient, one: Wanted) -> AutomationCore:
    from prefect.events.schemas.automations import AutomationCore

    if one.address is not None:
        block = _block(client, one.address)
        action = {"type": "call-webhook", "block_document_id": block, "payload": one.payload}
    else:
        deployment = _deployment(client, str(one.deployment))
        action = {"type": "run-deployment", "deployment_id": deployment, "parameters": dict(one.parameters)}
    return AutomationCore.model_validate(
        {
            "name": one.name,
            "description": one.description,
            "enabled": one.enabled,
            "trigger": dict(one.trigger),
            "actions": [action],
            "tags": ["tidemark"],
        }
    )


def _told(automation: AutomationCore) -> dict[str, Any]:
    """What of an automation is ours to say, without the ids that a server gives its triggers."""
    told = automation.model_dump(mode="json", include={"name", "description", "enabled", "trigger", "actions"})
    # What is a set there comes as a list in any order.
    trigger = {name: sorted(value) if isinstance(value, list) else value for name, value in told["trigger"].items()}
    return told | {"trigger": {name: value for name, value in trigger.items() if name != "id"}}


def _deployment(client: SyncPrefectClient, name: str) -> Any:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(name).id
    except ObjectNotFound as error:
        raise ServicesError(f"an automation starts {name}, which is no deployment of this server") from error


def _block(client: SyncPrefectClient, address: Address) -> Any:
    """The id of the block that holds an address; Prefect keeps it encrypted, and shows stars."""
    from prefect.client.schemas.actions import BlockDocumentCreate, BlockDocumentUpdate
    from prefect.exceptions import ObjectNotFound

    data = {"method": "POST", "url": address.url, "headers": {"Content-Type": "application/json"}}
    kind = client.read_block_type_by_slug("webhook")
    try:
        there = client.read_block_document_by_name(address.name, "webhook", include_secrets=True)
    except ObjectNotFound:
        schema = client.get_most_recent_block_schema_for_block_type(kind.id)
        if schema is None:
            raise ServicesError("the server knows no webhook block") from None
        made = BlockDocumentCreate(name=address.name, data=data, block_type_id=kind.id, block_schema_id=schema.id)
        return client.create_block_document(made).id
    if there.data.get("url") != address.url:
        update = BlockDocumentUpdate(block_schema_id=there.block_schema_id, data=data, merge_existing_data=True)
        client.update_block_document(there.id, update)
    return there.id
