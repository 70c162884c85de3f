"""Object stores: what their clients' errors mean to the operator."""

from __future__ import annotations

import socket

import pytest

from storage.errors import InputError, TableMissing, TidemarkError, Unreachable
from storage.registry import Registry
from storage.remote import explained, filesystem
from storage.tables.store import Store

DENIED = (
    "Generic S3 error: Server returned non-2xx status code: 403 Forbidden: <Error><Code>AccessDenied</Code></Error>"
)


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("404 Not Found: <Code>NoSuchBucket</Code>", InputError, "there is no such bucket"),
        (DENIED, InputError, r"refuses access \(AccessDenied\); set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        ("GET x - 401 Unauthorized: ", InputError, r"refuses access \(no valid credentials\)"),
        ("no Azure account name in URI, and no storage account configured", InputError, "no valid credentials"),
        ("No object store provider found for scheme: 'q'", InputError, "no kind of store has such a URL"),
        (
            "Error performing GET http://h/b in 458.8ms, after 3 retries, max_retries: 3, retry_timeout: 180s  - HTTP "
            "error: error sending request, /home/x/lib.rs:1:2\n\nDebug source:\nGeneric {",
            Unreachable,
            r"does not answer: Error performing GET http://h/b: HTTP error: error sending request; check the network",
        ),
        ("dispatch failure", Unreachable, "does not answer: dispatch failure; check the network"),
    ],
)
def test_an_error_says_what_is_wrong_and_what_to_do(text: str, kind: type[TidemarkError], told: str) -> None:
    with pytest.raises(kind, match=told) as caught:
        raise explained("s3://b/store", OSError(text))
    assert str(caught.value).startswith("s3://b/store: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("gs://b/store", "set GOOGLE_APPLICATION_CREDENTIALS in the environment"),
        ("abfss://b/store", "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY in the environment"),
        ("https://b/a.csv", "set its credentials in the environment"),
    ],
)
def test_the_variables_of_a_store_are_named(uri: str, told: str) -> None:
    assert told in str(explained(uri, OSError(DENIED)))
    assert "AWS" not in str(explained(uri, OSError("dispatch failure")))


def test_a_bucket_that_is_not_there_is_no_empty_store(s3: dict[str, str]) -> None:
    with pytest.raises(InputError, match="s3://nobody/store: there is no such bucket"):
        Store("s3://nobody/store").find("releases")


def test_a_table_that_is_not_there_is_told_from_one_that_cannot_be_read(bucket: str) -> None:
    store = Store(bucket)
    assert store.find("releases") is None
    files, root = filesystem(f"{bucket}/releases.lance/_versions")
    files.pipe_file(f"{root}/18446744073709551614.manifest", b"no manifest")
    with pytest.raises(TidemarkError) as caught:
        store.find("releases")
    assert not isinstance(caught.value, TableMissing)


def test_an_address_of_no_store_is_refused() -> None:
    with pytest.raises(InputError, match="qqq://b/store: no kind of store has such a URL"):
        Store("qqq://b/store").open("releases")


def test_what_does_not_answer_is_an_os_error_wherever_it_is_asked(
    s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        store = Store("s3://silent/store")  # a bucket of its own: clients keep the address that they began with
        models = Registry(store)
        for ask in (lambda: store.find("releases"), store.tables, models.spaces, lambda: models.has("a")):
            with pytest.raises(OSError, match=r"s3://silent/store.* the object store does not answer") as caught:
                ask()
            assert isinstance(caught.value, Unreachable)
