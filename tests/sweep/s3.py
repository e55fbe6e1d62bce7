"""An object store for tests: a server of the S3 protocol on the loopback interface."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a server with an empty bucket, `bucket`, to which the environment leads."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    address = f"http://{host}:{port}"
    settings = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**settings, "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true"}.items():
            patch.setenv(name, value)
        urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT"))
        yield address
    running.stop()
