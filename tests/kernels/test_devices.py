"""Which devices workers have: cores share one, accelerators are taken one by one."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import pytest

from kernels.devices import devices


@pytest.mark.skipif(jax.default_backend() != "cpu" or len(jax.devices()) < 2, reason="not two devices of a CPU")
def test_up_to_sixteen_cores_share_a_device():
    assert [len(devices(workers, 1)) for workers in (1, 2, 40)] == [1, 2, 40]
    assert devices(None, 16) == jax.devices()[:1] * 16
    assert sorted(devices(17, 1).count(device) for device in jax.devices()[:2]) == [8, 9]


def test_accelerators_are_taken_one_by_one(monkeypatch):
    found = [SimpleNamespace(platform="gpu"), SimpleNamespace(platform="gpu")]
    monkeypatch.setattr(jax, "devices", lambda: found)
    assert devices(None, 8) == found
    assert devices(1, 8) == found[:1]
