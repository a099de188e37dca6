"""How much fuel a launch in a child process has left, read from outside while it runs.

The state of the launch lives in memory that two processes share. The fuel in it is written
whenever a region of the code ends (the stretch between two barriers, for a whole block): what is
read is never more than what was used.
"""

import ctypes
import mmap
import os
from typing import Final

from kernels.ptx.runtime_layout import Env

ENV_BYTES: Final = -(-ctypes.sizeof(Env) // mmap.PAGESIZE) * mmap.PAGESIZE


class FuelGauge:
    """The state of a launch in memory of two processes. Linux only: `close` it at the end."""

    def __init__(self, fuel: int) -> None:
        self._fuel = fuel
        self._used = 0
        self.descriptor: Final = os.memfd_create("launch")
        os.ftruncate(self.descriptor, ENV_BYTES)
        self._memory = mmap.mmap(self.descriptor, ENV_BYTES)
        self._write(fuel)

    def _write(self, fuel: int) -> None:
        at = Env.fuel.offset
        self._memory[at : at + 8] = fuel.to_bytes(8, "little", signed=True)

    def used(self) -> int:
        """Return the fuel used so far; never less than before, whatever the child wrote there."""
        at = Env.fuel.offset
        left = int.from_bytes(self._memory[at : at + 8], "little", signed=True)
        self._used = min(self._fuel, max(self._used, self._fuel - left))
        return self._used

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.descriptor)


def shared_env(descriptor: int) -> Env:
    """Return the launch state that lives in the parent's gauge; closes *descriptor*."""
    memory = mmap.mmap(descriptor, ENV_BYTES)
    os.close(descriptor)
    return Env.from_buffer(memory)
