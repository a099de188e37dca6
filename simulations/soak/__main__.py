"""`python -m simulations.soak`: the soak of the overlay, and that of the market above it."""

import sys
from typing import Final

from overlay.soak import command
from overlay.soak.scenario import OVERLAY, Beside, Options, Scenario
from simulations.soak import decoders

PACKAGES: Final = ("overlay", "contracts", "kernels", "cocoon", "simulations")


def _decoders(options: Options) -> float:
    return 15 + options.inputs / 5_000


MARKET: Final = (
    Scenario(
        "decoders",
        "damaged inputs to every reader of Cocoon and of its chain",
        Beside.WORK,
        lambda options: decoders.run(options.inputs, seed=options.seed),
        _decoders,
        ("inputs", "seed"),
        PACKAGES,
    ),
)


def main() -> int:
    """Run the soak."""
    return command.main((*OVERLAY, *MARKET), module="simulations.soak")


if __name__ == "__main__":
    sys.exit(main())
