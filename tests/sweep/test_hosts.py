"""Several hosts: scheduler, coordinator and workers in network namespaces of their own, one cut off in the middle and back again.

Needs a machine where namespaces can be made (root, iproute2); run by `make soak`.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sweep
from tests.sweep.studies import PLAIN, assert_same_bits, plain, receipts, records

ROOT = Path(__file__).parents[2]
SOAK_RESULT = ROOT / "tests" / "soak" / "hosts.json"
TILES = 400
HOSTS = {"siesweep-a": "10.213.7.1", "siesweep-b": "10.213.7.2", "siesweep-c": "10.213.7.3"}


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts():
    """Three namespaces on one bridge, each with its address."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces cannot be made here")
    bridge = "siesweep-br"
    made = []
    try:
        try:
            # The bridge is in a namespace too, so that nothing of the machine's own network is touched.
            ip("netns", "add", bridge)
            made.append(bridge)
            ip("-n", bridge, "link", "add", "br0", "type", "bridge")
            ip("-n", bridge, "link", "set", "br0", "up")
            for name, address in HOSTS.items():
                ip("netns", "add", name)
                made.append(name)
                ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", name, "netns", bridge)
                ip("-n", bridge, "link", "set", name, "master", "br0", "up")
                ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
                ip("-n", name, "link", "set", "eth0", "up")
                ip("-n", name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.stderr.decode().strip()}")
        yield bridge
    finally:
        for name in reversed(made):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def on(host, *words, folder):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DASK_TEMPORARY_DIRECTORY": str(folder),
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
    }
    command = ["ip", "netns", "exec", host, sys.executable, *map(str, words)]
    with (folder / f"{host}-{len(list(folder.glob('*.log')))}.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)


@pytest.mark.soak
def test_a_host_is_cut_off_and_comes_back(hosts, tmp_path):
    config, store, untouched = tmp_path / "plain.toml", tmp_path / "plain.zarr", tmp_path / "untouched.zarr"
    config.write_text(PLAIN.replace("draws = 1024", f"draws = {256 * TILES}"))
    sweep.run(plain(draws=256 * TILES), untouched, workers=1)
    first, second, third = HOSTS
    running = [on(first, "-m", "distributed.cli.dask_scheduler", "--host", HOSTS[first], "--port", 8786, "--no-dashboard", folder=tmp_path)]
    try:
        for host in (second, third):
            options = ("--nthreads", 2, "--no-nanny", "--no-dashboard", "--host", HOSTS[host], "--local-directory", tmp_path)
            running.append(on(host, "-m", "distributed.cli.dask_worker", f"tcp://{HOSTS[first]}:8786", *options, folder=tmp_path))
        command = ("-c", "from sweep.cli import main; main()", "run", config, "-o", store, "--scheduler", f"tcp://{HOSTS[first]}:8786")
        coordinator = on(first, *command, folder=tmp_path)
        running.append(coordinator)
        cuts = []
        deadline = time.monotonic() + 600
        for share in (0.2, 0.5):
            while not (store / "ledger" / "whole.jsonl").exists() or len(receipts(store)) < share * TILES:
                assert coordinator.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            # In the middle of a tile, as likely as not: the wire is pulled and, when dask has given the host up, put back.
            ip("-n", hosts, "link", "set", third, "down")
            before = len(receipts(store))
            time.sleep(20)
            cuts.append({"at": before, "meanwhile": len(receipts(store)) - before})
            ip("-n", hosts, "link", "set", third, "up")
        assert coordinator.wait(timeout=600) == 0
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()
    assert_same_bits(store, untouched)
    done = [record["tile"] for record in records(store) if "crc" in record]
    assert len(done) == len(set(done)) == TILES
    # The other host went on while one was away, if there was work left.
    assert any(cut["meanwhile"] > 0 or cut["at"] == TILES for cut in cuts)
    SOAK_RESULT.parent.mkdir(exist_ok=True)
    SOAK_RESULT.write_text(json.dumps({"date": datetime.date.today().isoformat(), "tiles": TILES, "cuts": cuts}, indent=2) + "\n")
