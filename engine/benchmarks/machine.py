"""What a figure was measured on: without it, a figure is a rumour."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

GB = 1_000_000_000
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """A computer and what else it was doing."""

    cores: int
    cpu: str
    memory_gb: float
    torch: str
    load: float
    """Processes that were running before, on average over a minute."""

    def __str__(self) -> str:
        return (
            f"{self.cores} cores of {self.cpu}, {self.memory_gb:.0f} GB, "
            f"torch {self.torch}; load before {self.load:.1f}"
        )


def this_machine() -> Machine:
    """Return what this process runs on."""
    return Machine(
        cores=os.cpu_count() or 1,
        cpu=cpu_model(CPU_INFO.read_text() if CPU_INFO.exists() else ""),
        memory_gb=round(psutil.virtual_memory().total / GB, 1),
        torch=version("torch"),
        load=round(psutil.getloadavg()[0], 2),
    )


def cpu_model(cpu_info: str) -> str:
    """Return the name of the processor, from Linux' list of them if there is one."""
    for line in cpu_info.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()
