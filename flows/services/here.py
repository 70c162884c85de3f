"""Which services are meant: those that a variable or a configuration names, those of this folder, or what runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from flows.config.toml import FILE
from flows.services.place import HOME, Services
from flows.services.processes import homes
from storage.errors import InputError

__all__ = ["meant", "running", "set_apart"]


def meant(config: Path | None = None) -> Services:
    """The services that `up` starts: TIDEMARK_HOME, else the folder of the configuration, else this one.

    Args:
        config: The configuration that a command was given.

    Raises:
        InputError: A variable names what is not there.
    """
    if config is not None:
        file = config.expanduser().resolve()
        if not file.is_file():
            raise InputError(f"{config}: there is no such file")
        os.environ.setdefault("TIDEMARK_HOME", str(file.parent))
        if file.name != FILE or os.environ["TIDEMARK_HOME"] != str(file.parent):
            os.environ["TIDEMARK_CONFIG"] = str(file)  # flow runs take it over
    return Services.from_environment()


def running(config: Path | None = None, found: Iterable[Path] | None = None) -> Services:
    """The services that are to be stopped or shown: those that are meant, or else the only ones that run.

    Whoever started them with TIDEMARK_HOME, or in another folder, need not remember it: their processes do. A folder
    with an index or services of its own means these, though: a second `down` there must not stop somebody else's.

    Args:
        config: The configuration that a command was given.
        found: Homes of services that run; looked for if None.

    Raises:
        InputError: Others run and none is named: several, or one while this folder has its own.
    """
    named = meant(config)
    alive = set(homes() if found is None else found)
    if config is not None or os.environ.get("TIDEMARK_HOME") or named.home in alive or not alive:
        return named
    folders = sorted(home.parent.parent for home in alive if home.parts[-len(HOME.parts) :] == HOME.parts)
    if len(folders) == 1 and not (named.home.is_dir() or (named.folder / FILE).is_file()):
        return Services.at(folders[0]) or Services(folders[0], named.port, named.deployments)
    told = ", ".join(map(str, folders))
    raise InputError(f"nothing of {named.folder} runs, but of {told}: name it, as in TIDEMARK_HOME={folders[0]}")


def set_apart(services: Services) -> Services:
    """Let Prefect, imported later, find no profile or setting of the caller's."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ["PREFECT_HOME"] = str(services.home)
    return services
