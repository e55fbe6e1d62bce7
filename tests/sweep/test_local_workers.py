"""Which device each worker of this machine gets."""

from __future__ import annotations

import os
import stat
from types import SimpleNamespace

import pytest

from sweep.execute import local_workers


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A machine whose driver lists these GPUs, where JAX has its plugin."""

    def says(text):
        (tmp_path / "bin").mkdir()
        (tmp_path / "listed").write_text(text)
        program = tmp_path / "bin" / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat {tmp_path / 'listed'}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr(local_workers, "_plugins", lambda: [SimpleNamespace(name="xla_cuda13", value="jax_plugins.xla_cuda13")])
    return says


def devices():
    return [pin.environment.get("CUDA_VISIBLE_DEVICES") for pin in local_workers.pins()]


def test_one_worker_a_gpu(driver, monkeypatch):
    driver("GPU 0: NVIDIA H100 (UUID: GPU-1)\nGPU 1: NVIDIA H100 (UUID: GPU-2)\n")
    assert devices() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5, 7")
    assert devices() == ["3", "5", "7"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert set(devices()) == {None}
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert set(devices()) == {None}


def test_one_worker_an_instance_of_a_gpu(driver):
    instances = "  MIG 1g.10gb Device 0: (UUID: MIG-a)\n  MIG 1g.10gb Device 1: (UUID: MIG-b)\n"
    driver(f"GPU 0: H100 (UUID: GPU-1)\n{instances}GPU 1: H100 (UUID: GPU-2)\n")
    assert devices() == ["MIG-a", "MIG-b", "1"]


def test_without_a_plugin_a_gpu_is_none(driver, monkeypatch):
    driver("GPU 0: NVIDIA H100 (UUID: GPU-1)\n")
    monkeypatch.setattr(local_workers, "_plugins", list)
    assert set(devices()) == {None}


def test_cores_are_shared_out():
    pins = [local_workers.Pin(cores=(core,)) for core in (0, 1, 4, 5, 6)]
    assert [pin.cores for pin in local_workers.shared_out(pins, 5)] == [(0,), (1,), (4,), (5,), (6,)]
    assert [pin.cores for pin in local_workers.shared_out(pins, 2)] == [(0, 1), (4, 5, 6)]
    assert [pin.cores for pin in local_workers.shared_out(pins, 7)][5:] == [(0,), (1,)]
    gpus = [local_workers.Pin({"CUDA_VISIBLE_DEVICES": number}) for number in "012"]
    assert local_workers.shared_out(gpus, 2) == gpus[:2]
