"""Workers of this machine for the dask executor: one process a device, pinned to it by its environment before it starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from sweep.execute.compilation import use_compilation_cache
from sweep.execute.inline import cores

MOST_DEATHS = 3
"""Workers that may end, beside one for each device, before one has taken the job; and that one tile may kill."""
THREADS = 2
"""One computes while the other writes."""


class WorkersError(Exception):
    """Workers that do not start."""


@dataclass(frozen=True)
class Pin:
    """What makes a process the only one of its device: its environment, and the cores that it may run on (none given: any)."""

    environment: Mapping[str, str] = field(default_factory=dict)
    cores: tuple[int, ...] = ()


# Cores are chosen before numpy and XLA count them for their threads. The last one out takes the folder along when nobody else is left to.
_WORKER = """
import os, shutil, sys
cores, folder, parent = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))
if cores:
    os.sched_setaffinity(0, map(int, cores.split(",")))
from distributed.cli.dask_worker import main
try:
    main()
finally:
    if os.getppid() != parent:
        shutil.rmtree(folder, ignore_errors=True)
"""


class Processes:
    """`dask worker` once a device. They end with the scheduler, however that ends; one that dies is started again."""

    def __init__(self, scheduler: str, pins: Sequence[Pin], folder: Path, announce: Callable[[str], None]) -> None:
        self.count = len(pins)
        self._scheduler, self._pins, self._folder, self._announce = scheduler, pins, folder, announce
        self._running = [self._started(number) for number in range(self.count)]
        self._stillborn = 0

    def tend(self) -> None:
        """Start again what has ended. Raises WorkersError where workers end before they have joined."""
        for number, process in enumerate(self._running):
            if process.poll() is None:
                continue
            how = f"killed by {signal.Signals(-process.returncode).name}" if process.returncode < 0 else f"exit code {process.returncode}"
            self._stillborn += 1
            if self._stillborn > MOST_DEATHS + self.count:
                raise WorkersError(f"workers do not start ({how}): {self._last_words(number)}")
            self._announce(f"worker {number} ended ({how}); another is started")
            self._running[number] = self._started(number)

    def joined(self) -> None:
        """A worker has come so far as to take the job."""
        self._stillborn = 0

    def close(self) -> None:
        for process in self._running:
            process.terminate()
        until = time.monotonic() + 2.0
        for process in self._running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                # In the middle of a tile, which has no receipt and is computed again.
                process.kill()
                process.wait()

    def _started(self, number: int) -> subprocess.Popen[bytes]:
        pin = self._pins[number]
        command = [sys.executable, "-c", _WORKER, ",".join(map(str, pin.cores)), str(self._folder), str(os.getpid()), self._scheduler]
        command += ["--no-nanny", "--nthreads", str(THREADS), "--memory-limit", "0", "--name", str(number), "--host", "127.0.0.1"]
        command += ["--no-dashboard", "--death-timeout", "60", "--local-directory", str(self._folder)]
        environment = {
            **os.environ,
            # What can be imported here can be imported there.
            "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path),
            "JAX_COMPILATION_CACHE_DIR": str(use_compilation_cache()),
            "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
            **pin.environment,
        }
        # Several devices a process are what the inline executor wants.
        environment.pop("JAX_NUM_CPU_DEVICES", None)
        with self._log(number).open("wb") as log:
            # In a session of its own, so that an interrupt from the keyboard is the coordinator's to handle.
            return subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def _log(self, number: int) -> Path:
        return self._folder / f"{number}.log"

    def _last_words(self, number: int) -> str:
        lines = self._log(number).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def pins() -> list[Pin]:
    """One for each GPU that JAX would use, or else for each core."""
    if "cpu" not in os.environ.get("JAX_PLATFORMS", "") and any(
        entry.name.startswith("cuda") or "cuda" in entry.value for entry in _plugins()
    ):
        gpus = _gpus()
        if gpus:
            return [Pin({"CUDA_VISIBLE_DEVICES": gpu}) for gpu in gpus]
    if not hasattr(os, "sched_getaffinity"):
        return [Pin()] * cores()
    return [Pin(cores=(core,)) for core in sorted(os.sched_getaffinity(0))]


def _plugins() -> Sequence[metadata.EntryPoint]:
    return tuple(metadata.entry_points(group="jax_plugins"))


def _gpus() -> list[str]:
    """The GPUs as CUDA_VISIBLE_DEVICES names them, asked of the driver: JAX would take them to itself."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found: list[str] = []
    for line in listed.splitlines():
        if (gpu := re.match(r"GPU (\d+):", line)) is not None:
            found.append(gpu[1])
        elif (part := re.search(r"UUID: (MIG-[^)]+)\)", line)) is not None:
            # A GPU that is cut into instances is used by these.
            if found and not found[-1].startswith("MIG-"):
                found.pop()
            found.append(part[1])
    return found


def shared_out(pins: Sequence[Pin], count: int) -> list[Pin]:
    """So many pins: cores left over are shared out, and with more workers than cores they take turns."""
    if count >= len(pins) or not pins[0].cores:
        return [pins[number % len(pins)] for number in range(count)]
    every = [core for pin in pins for core in pin.cores]
    return [Pin(cores=tuple(every[number * len(every) // count : (number + 1) * len(every) // count])) for number in range(count)]
