"""An S3 server of one's own: moto behind a socket, one request at a time, so that its conditional writes are atomic."""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["BUCKET", "environment", "serving"]

BUCKET = "s3://tides"
ACCOUNT = "123456789012"  # moto's own, whoever asks


def environment(address: str) -> dict[str, str]:
    """What a process must have in its environment to use the server."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run the server in a process of its own, with one empty bucket.

    Args:
        folder: Where it writes its address and its log.

    Yields:
        Its address.
    """
    said = folder / "address"
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen([sys.executable, __file__, str(said)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not said.exists() or not said.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no S3 server: {(folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.05)
        yield said.read_text()
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Serve until killed."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import make_server

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("said", type=Path, help="file to write the address to")
    said = parser.parse_args().said
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    s3_backends[ACCOUNT]["aws"].create_bucket(BUCKET.removeprefix("s3://"), "us-east-1")
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    said.write_text(f"http://127.0.0.1:{server.port}")
    server.serve_forever()


if __name__ == "__main__":
    main()
