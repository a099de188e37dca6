"""Buys an answer, a transcript or a kernel's run from the swarm, for at most so many coins.

    python examples/buy.py chat "List three fruits." --home buyer --spend-max 0.001
    python examples/buy.py transcribe note.ogg --home buyer
    python examples/buy.py kernel examples/kernels/saxpy --home buyer

The home is one that `cocoon init` made. Programs that use asyncio: see `openai_client.py`.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np

from cocoon.cli.running import Stop, run_interruptible
from cocoon.config import load_config
from cocoon.errors import CocoonError, exit_code
from cocoon.messages import Turn
from cocoon.node import open_buyer
from cocoon.requester.bill import Bill
from cocoon.requester.events import JobResult, Negotiated, OutputCame
from cocoon.requester.inputs import CHAT_MODEL, model_id, speech_request
from cocoon.requester.kernels import outputs_of
from cocoon.requester.plan import ChatRequest, JobRequest, KernelRequest
from contracts.errors import ContractError
from contracts.units import TICKER, format_coins, parse_coins
from kernels.custom import BadManifest, read_manifest
from overlay.errors import OverlayError


def request_for(kind: str, what: str) -> JobRequest:
    """What is bought; its size, with the prices of a provider, bounds what it can cost."""
    if kind == "transcribe":
        return speech_request(Path(what))
    if kind == "kernel":
        return KernelRequest(job=read_manifest(Path(what)), device="cpu")
    turns = (Turn(role="user", content=what),)
    return ChatRequest(model_id=model_id(CHAT_MODEL, "chat"), turns=turns, output_tokens_max=64)


async def listen(event) -> None:
    """Hears of every step; what it raises ends the job, which is then paid up to here."""
    if isinstance(event, Negotiated):
        at_most = format_coins(event.worst_case_nanoton)
        print(f"from {event.provider[-8:]}, at most {at_most} {TICKER}", file=sys.stderr)
    elif isinstance(event, OutputCame):
        print(event.text, end="", flush=True)


async def buy(home: Path, request: JobRequest, spend_max: str, bill: Bill, stop: Stop) -> JobResult:
    config = load_config(home / "config.toml")
    async with open_buyer(config) as (_, requester):  # one swarm, many jobs, also side by side
        with stop.first():  # Ctrl-C stops the provider's device and pays for what came
            return await requester.run(request, listen, bill, spend_max=parse_coins(spend_max))
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["chat", "transcribe", "kernel"])
    parser.add_argument("what")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--spend-max", default="0.01")
    given = parser.parse_args()
    bill, stop = Bill(), Stop()
    try:
        request = request_for(given.kind, given.what)
        work = partial(buy, given.home, request, given.spend_max, bill, stop)
        result = run_interruptible(work, stop)
        for array in outputs_of(request.job, result) if given.kind == "kernel" else ():
            print(array.name, np.frombuffer(array.data, array.dtype.value))
    except (CocoonError, ContractError, OverlayError, BadManifest) as error:
        # NoProvider: nobody could, or would for that money; nothing was paid. PaymentError: the
        # wallet is empty, for instance. JobFailed: it began, and what came until then was paid.
        # The others: settings, or a chain or swarm that is not there.
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2 if isinstance(error, BadManifest) else exit_code(error)
    except KeyboardInterrupt as error:
        return exit_code(error)
    finally:
        print(f"\npaid {format_coins(bill.paid_nanoton)} {TICKER}", file=sys.stderr)
    print(f"receipts: {[each.receipt for each in result.attempts]}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
