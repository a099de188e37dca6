"""`python -m simulations.soak`: the soak of the overlay, and that of the market above it."""

import sys
from typing import Final

from overlay.soak import command
from overlay.soak.scenario import OVERLAY, Beside, Options, Scenario
from simulations.soak import decoders, kernels, provider

PACKAGES: Final = ("overlay", "contracts", "kernels", "cocoon", "simulations")


INPUTS_PER_KERNEL: Final = 2_000
"""So many damaged messages for each kernel: it takes some processes, and seconds."""


def _kernels(options: Options) -> int:
    return max(16, options.live_inputs // INPUTS_PER_KERNEL)


MARKET: Final = (
    Scenario(
        "decoders",
        "damaged inputs to every reader of Cocoon and of its chain",
        Beside.WORK,
        lambda options: decoders.run(options.inputs, seed=options.seed),
        lambda options: 15 + options.inputs / 4_000,
        ("inputs", "seed"),
        PACKAGES,
    ),
    Scenario(
        "provider",
        "damaged messages, and customers that cheat at any step, to a provider with real payments",
        Beside.WORK,
        lambda options: provider.run(options.live_inputs, seed=options.seed),
        lambda options: 20 + options.live_inputs / 450,
        ("live_inputs", "seed"),
        PACKAGES,
    ),
    Scenario(
        "kernels",
        "kernels that do harm, and customers that cheat, to a provider of kernels",
        Beside.WORK,
        lambda options: kernels.run(_kernels(options), seed=options.seed),
        lambda options: 20 + 1.5 * _kernels(options),
        ("live_inputs", "seed"),
        PACKAGES,
    ),
)


def main() -> int:
    """Run the soak."""
    return command.main((*OVERLAY, *MARKET), module="simulations.soak")


if __name__ == "__main__":
    sys.exit(main())
