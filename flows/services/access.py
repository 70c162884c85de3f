"""Keeps the state of the services to the user who started them: private folders, and a password made once."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from storage.errors import InputError

__all__ = ["FILE", "UMASK", "USER", "close_folder", "make_password", "read_password"]

USER = "tidemark"
UMASK = 0o077  # of the services and all their children: nobody else reads their database, logs and results
FILE = "password"


def close_folder(home: Path) -> None:
    """Create the folder of the services, or close one that others can read.

    Args:
        home: `.tidemark/prefect` of the folder that the services work in.

    Raises:
        InputError: The folder, or the one in which it would lie, is another user's.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # parents get the mode of the umask: closed below
        for folder in (home.parent, home):
            folder.chmod(0o700)
        # An earlier version wrote these for everybody to read. A link is left alone: its target may be anywhere.
        for file in home.iterdir():
            if stat.S_ISREG(file.lstat().st_mode):
                file.chmod(0o600)
    except PermissionError as error:
        raise InputError(
            f"{error.filename} is not yours to change: remove it, or name a folder of your own in TIDEMARK_HOME"
        ) from error


def make_password(home: Path) -> str:
    """Give the password of the dashboard, and make it at the very first call.

    Args:
        home: The folder of the services; it exists.

    Returns:
        The password.
    """
    file = home / FILE
    if not file.exists():
        draft = home / f"{FILE}.{secrets.token_hex(8)}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(f"{secrets.token_urlsafe(32)}\n")
        # A link appears with its content or not at all, and never replaces one: of two at once both read the first's.
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(draft)
        draft.unlink()
    return read_password(home)


def read_password(home: Path) -> str:
    """Read the password of the dashboard.

    Args:
        home: The folder of the services.

    Returns:
        The password.

    Raises:
        InputError: There is none, or it is another user's, or the file is empty.
    """
    file = home / FILE
    try:
        password = file.read_text().strip()
    except FileNotFoundError as error:
        raise InputError(f"there is no password in {file}: `up` makes one") from error
    except OSError as error:
        raise InputError(f"the password in {file} cannot be read: {error.strerror}") from error
    if not password:
        raise InputError(f"{file} is empty: delete it, and `up` makes a new password")
    return password
