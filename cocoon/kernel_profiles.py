"""What customers' kernels are sold under: one resource class for each kind of device.

The 64 hex digits of a class ``kernel/...`` are the sha256 of a profile: a text that says what
code is taken, what runs it, and what one metered millisecond is. So a quote, an offer and a
receipt for kernels on a CPU can never be taken for one for a GPU: they are of another class.
A profile never changes; other rules would be another profile, with another hash.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from cocoon.messages import Kind, resource_class

FUEL_PER_MS: Final = 1_000_000
"""Instructions of a CPU that are metered as one millisecond."""

KernelDevice = Literal["cpu", "cuda"]

_TEXT: Final = """\
cocoon kernel profile 1
code: CUDA C++ (NVRTC, compute_75) or PTX, vetted by kernels.custom
device: {device}
metered millisecond: {unit}
"""


@dataclass(frozen=True, slots=True)
class KernelProfile:
    """What a provider of kernels sells.

    Attributes:
        name: for people.
        unit: what one metered millisecond is, in words.
    """

    device: KernelDevice
    name: str
    unit: str

    @property
    def profile_id(self) -> bytes:
        """The hash that stands where others have the hash of a model, 32 bytes."""
        text = _TEXT.format(device=self.device, unit=self.unit)
        return hashlib.sha256(text.encode()).digest()

    @property
    def resource_class(self) -> str:
        """The class that quotes are for."""
        return resource_class(Kind.KERNEL, self.profile_id.hex())

    def metered_ms(self, *, fuel: int, card_ms: int) -> int:
        """Return what is billed for so many instructions, or so long on a card; rounded up."""
        return -(-fuel // FUEL_PER_MS) if self.device == "cpu" else card_ms

    def fuel_for(self, metered_ms: int) -> int:
        """Return how many instructions *metered_ms* are; what holds on a CPU only."""
        return metered_ms * FUEL_PER_MS


PROFILES: Final[dict[KernelDevice, KernelProfile]] = {
    "cuda": KernelProfile("cuda", "kernels-cuda", "1 ms of a GPU, by its own clock"),
    "cpu": KernelProfile("cpu", "kernels-cpu", f"{FUEL_PER_MS} PTX instructions on a CPU"),
}


def profile_of(model_id: bytes) -> KernelProfile | None:
    """Return the profile with this id, or None when it is not one of ours."""
    return next((each for each in PROFILES.values() if each.profile_id == model_id), None)
