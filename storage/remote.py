"""Object stores: the file system behind a URL, and what their errors mean to the operator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from textwrap import shorten
from typing import Any

import fsspec
from obstore.exceptions import BaseError

from storage.errors import InputError, TidemarkError, Unreachable, words

__all__ = ["explained", "filesystem", "reached"]

# S3, Google Cloud Storage and Azure by the client library that Lance itself is built on: the same variables of the
# environment (AWS_*, GOOGLE_*, AZURE_*) then open the tables, the model folders beside them and the sources.
PROTOCOLS = {"s3": ("s3", "s3a"), "gs": ("gs", "gcs"), "az": ("az", "abfs", "abfss", "adl")}

_CODE = re.compile(r"<Code>(\w+)</Code>")
_ABSENT = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_DENIED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AuthenticationFailed")
_NAMELESS = ("no storage account configured",)  # Lance, where no variable names the account of Azure
_STATUS = re.compile(r"\b(?:401 Unauthorized|403 Forbidden)\b")
_UNKNOWN = ("No object store provider found", "Unable to recognise URL", "Protocol not known")
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "": "its credentials",
}
_ENDPOINT = {"s3": " and the endpoint (AWS_ENDPOINT_URL, and AWS_ALLOW_HTTP=true for plain HTTP)"}
_LENGTH = 240  # characters of a client's own words that help
_PATIENCE = re.compile(r" in [\d.]+\S?s(?:, after \d+ retries, max_retries: \d+, retry_timeout: \d+s)?")


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Args:
        url: A local path or any URL that fsspec knows.
    """
    _register()
    found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    return found


def explained(uri: str, error: BaseException) -> TidemarkError:
    """Turn what a client of an object store raised into one line: what is wrong, where, and what to do.

    Returns:
        An `InputError` where the address or the credentials are wrong, else `Unreachable`.
    """
    text = _PATIENCE.sub("", words(error))
    code = _CODE.search(text)
    if any(mark in text for mark in _UNKNOWN):
        return InputError(f"{uri}: no kind of store has such a URL; there are a folder, s3://, gs:// and az://")
    if any(mark in text for mark in _ABSENT):
        return InputError(f"{uri}: there is no such bucket; create it, or correct the address")
    if any(mark in text for mark in _DENIED + _NAMELESS) or _STATUS.search(text):
        why = code.group(1) if code else "no valid credentials"
        return InputError(
            f"{uri}: the object store refuses access ({why}); set {_CREDENTIALS[_family(uri)]} in the environment"
        )
    said = shorten(text.replace(" - ", ": "), _LENGTH, placeholder=" ...").rstrip(" -:,")
    endpoint = _ENDPOINT.get(_family(uri), "")
    server = "server" if uri.startswith(("http://", "https://")) else "object store"
    return Unreachable(
        f"{uri}: the {server} does not answer: {said}; check the network{endpoint}, then run the command again"
    )


def _family(uri: str) -> str:
    """The kind of object store behind a URL: s3, gs, az, or nothing for another."""
    scheme = uri.partition("://")[0].lower()
    return next((family for family, schemes in PROTOCOLS.items() if scheme in schemes), "")


@contextmanager
def reached(uri: str) -> Iterator[None]:
    """Have what obstore raises in a block, which is no OSError, mean what it means to the operator.

    Raises:
        InputError: The address or the credentials are wrong.
        Unreachable: The object store does not answer.
    """
    try:
        yield
    except BaseError as error:
        raise explained(uri, error) from error


@cache
def _register() -> None:
    import obstore.fsspec

    obstore.fsspec.register([scheme for schemes in PROTOCOLS.values() for scheme in schemes])
