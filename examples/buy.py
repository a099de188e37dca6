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
from cocoon.errors import JobFailed, NoProvider, PaymentError
from cocoon.messages import Turn
from cocoon.node import open_buyer
from cocoon.requester.bill import Bill
from cocoon.requester.events import JobResult, Negotiated, OutputCame
from cocoon.requester.inputs import CHAT_MODEL, model_id, speech_request
from cocoon.requester.kernels import outputs_of
from cocoon.requester.plan import ChatRequest, JobRequest, KernelRequest
from contracts.units import TICKER, format_coins, parse_coins
from kernels.custom import read_manifest


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
    request, bill, stop = request_for(given.kind, given.what), Bill(), Stop()
    try:
        work = partial(buy, given.home, request, given.spend_max, bill, stop)
        result = run_interruptible(work, stop)
        for array in outputs_of(request.job, result) if given.kind == "kernel" else ():
            print(array.name, np.frombuffer(array.data, array.dtype.value))
    except NoProvider as error:  # nobody could, or would for that money: nothing was paid
        print(f"not bought: {error}", file=sys.stderr)
        return 4
    except PaymentError as error:  # the wallet is empty, for instance
        print(f"cannot pay: {error}", file=sys.stderr)
        return 5
    except JobFailed as error:  # it began; what came until then was paid
        print(f"failed: {error}", file=sys.stderr)
        return 7
    finally:
        print(f"\npaid {format_coins(bill.paid_nanoton)} {TICKER}", file=sys.stderr)
    print(f"receipts: {[each.receipt for each in result.attempts]}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
