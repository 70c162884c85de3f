"""Put a model into the registry: its folder with card and probe, and the row that says where it comes from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.config import EncoderConfig
from models.encoder import EncoderFolder, resolve
from models.errors import DamagedModel
from models.probe import probe
from storage.errors import InputError
from storage.registry import Registry, refuse_pickles
from storage.spill import Workspace
from storage.tables.models import ModelRecord, Models
from storage.tables.store import Store
from tasks.build.reference import PROBE
from tasks.release.serving import kept_encoder

__all__ = ["bring_in", "card", "keep_model", "write_out"]


def keep_model(store: Store, workspace: Workspace, model: EncoderFolder, record: ModelRecord) -> ModelRecord:
    """Keep a model and what is known of it; called again with more, for example metrics, it renews card and row.

    Args:
        store: The store; its caller holds the lease.
        workspace: Where the copy is made that is kept.
        model: The model.
        record: What is known of it, of the model's space; digests and bytes are filled in here.

    Returns:
        The record as it was written.

    Raises:
        ModelError: The model cannot be opened, or it changed meanwhile.
        RuntimeError: It gives vectors that are not finite or of no unit norm.
    """
    registry, space = Registry(store), model.space.id
    if not registry.has(space):
        folder = workspace.folder / f"model-{space}"
        found = probe(model.open())
        replace(model, space=replace(model.space, name=record.name)).export(folder)  # called so wherever it goes
        np.save(folder / PROBE, found, allow_pickle=False)
        registry.keep(space, folder)
    whole = replace(record, digests=registry.digests(space), bytes=registry.size(space))
    # The row comes last: until it is there nothing keeps the folder from clean-up, and it names nothing that is not.
    registry.describe(space, card(whole))
    Models(store).record(whole)
    return whole


def bring_in(store: Store, workspace: Workspace, folder: Path, name: str | None, run: str) -> ModelRecord:
    """Check the folder of an encoder and keep it.

    Args:
        store: The store; its caller holds the lease.
        workspace: Where the copy is made that is kept.
        folder: The folder, as `models export` or `SentenceTransformer.save_pretrained` writes it.
        name: What people call it; the name that the folder says if None.
        run: The run that does it.

    Raises:
        InputError: There is no such folder, or it holds pickles.
        ModelError: It is no encoder, or it cannot be opened.
        RuntimeError: It gives vectors that are not finite or of no unit norm.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give that of a model")
    refuse_pickles(folder)
    model = resolve(EncoderConfig(name=str(folder.resolve())))
    known = Models(store).find(model.space.id)
    if known is not None and Registry(store).has(model.space.id):
        return keep_model(store, workspace, model, known if name is None else replace(known, name=name))
    record = ModelRecord(
        space=model.space.id, name=name or model.space.name, run=run, data={"folder": folder.resolve().name}
    )
    return keep_model(store, workspace, model, record)


def write_out(store: Store, space: str, folder: Path) -> None:
    """Copy a kept model to a folder: an encoder so that `SentenceTransformer` loads it and gives the same vectors.

    Args:
        store: The store.
        space: Id of its space.
        folder: A folder that is empty or does not exist.

    Raises:
        InputError: The store keeps no such model.
        ModelError: The folder is not empty, or the kept files are damaged.
    """
    registry, known = Registry(store), Models(store).find(space)
    if known is not None and known.kind == "reranker":
        _copy(registry, space, folder)
        (folder / "README.md").write_text(card(known), encoding="utf-8")
        return
    model = kept_encoder(store, space, EncoderConfig.model_validate({}))
    if model.space.id != space:
        raise DamagedModel(f"models/{space} holds the space {model.space.id}: its files were changed")
    model.export(folder)
    record = known or ModelRecord(
        space=space, name=model.space.name, digests=registry.digests(space), bytes=registry.size(space)
    )
    (folder / "README.md").write_text(card(record), encoding="utf-8")


def _copy(registry: Registry, space: str, folder: Path) -> None:
    """Copy the files of a re-ranker, which `learning.rerankers` takes again."""
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty: give a folder that is, or that does not exist")
    kept = registry.fetch(space)
    for name in registry.digests(space):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept / name, folder / name)


def card(record: ModelRecord) -> str:
    """The model card, in Markdown with the front matter that model hubs read."""
    front = ["tags: [tidemark]"]
    if record.kind == "encoder":  # a re-ranker may be a handful of weights, which no library loads
        front.insert(0, "library_name: sentence-transformers")
    front += [f"license: {json.dumps(record.licence)}"] if record.licence else []
    facts = {
        "space": record.space,
        "kind": record.kind,
        "trained from" if record.kind == "encoder" else "orders what is found by": record.parent,
        "line begins with": record.root,
        "made": f"{record.created:%Y-%m-%d %H:%M:%S} UTC",
        "run": record.run,
        "licence": record.licence or "not known",
        "bytes": f"{record.bytes:,}",
    }
    parts = ["---", *front, "---", "", f"# {record.name}", "", "| | |", "|---|---|"]
    parts += [f"| {name} | {value} |" for name, value in facts.items() if value]
    for title, content in (("Data", record.data), ("Recipe", record.recipe), ("Metrics", record.metrics)):
        parts += _section(title, content)
    return "\n".join([*parts, *_section("SHA-256", record.digests), ""])


def _section(title: str, content: Mapping[str, object]) -> list[str]:
    if not content:
        return []
    told = json.dumps(content, indent=2, sort_keys=True, default=str, ensure_ascii=False)
    return ["", f"## {title}", "", "```json", told, "```"]
