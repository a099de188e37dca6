"""Settings of who sells time to strangers' kernels: table ``[provider.kernels]``."""

from typing import Annotated, Literal

from msgspec import Meta

from cocoon.config_network import Section


class KernelsConfig(Section, frozen=True):
    """Whether this node runs customers' own kernels, and how large they may be."""

    enabled: Annotated[
        bool,
        Meta(
            description="run kernels that strangers send, each in a confined process; read "
            "docs/customer-kernels.md first. Their price is provider.price.gpu_ms_nanoton_per_1000"
        ),
    ] = False
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Meta(
            description="what runs them; auto: a card where one works. A CPU sells milliseconds "
            "of 1000000 instructions, in a resource class of its own"
        ),
    ] = "auto"
    slots: Annotated[int, Meta(ge=1, le=64, description="kernels that run at the same time")] = 1
    ms_max: Annotated[
        int, Meta(ge=1, le=600_000, description="longest kernel, in metered milliseconds")
    ] = 10_000
    chunk_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=600_000,
            description="metered milliseconds run before they are paid; on a CPU the kernel "
            "rests then, a card cannot rest and runs on for unpaid_timeout_s",
        ),
    ] = 1_000
    memory_bytes_max: Annotated[
        int, Meta(ge=1, le=1 << 30, description="most that all its arrays take together, in bytes")
    ] = 256 << 20
    input_bytes_max: Annotated[
        int, Meta(ge=1024, le=64 << 20, description="largest code and input arrays, in bytes")
    ] = 32 << 20
    output_bytes_max: Annotated[
        int, Meta(ge=1, le=1 << 30, description="largest result, in bytes")
    ] = 64 << 20
