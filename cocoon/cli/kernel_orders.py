"""`cocoon kernel submit`: have a kernel of one's own run by a provider, and pay for it."""

import argparse
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from cocoon.cli.ask import buy
from cocoon.cli.kernels import arrays_json, save_arrays, show_arrays
from cocoon.cli.output import Output
from cocoon.cli.progress import Steps
from cocoon.cli.running import run_interruptible
from cocoon.cli.settings import load
from cocoon.config import NodeConfig
from cocoon.errors import ConfigError, JobFailed, NoProvider, Refused, exit_code
from cocoon.kernel_profiles import PROFILES, KernelDevice, KernelProfile
from cocoon.market.book import Listing
from cocoon.market.price import worst_case_cost
from cocoon.market.sizes import too_small
from cocoon.messages import RefusalCode
from cocoon.node import Node, open_node
from cocoon.requester.events import InputSent, JobProgress, JobResult, KernelCame
from cocoon.requester.finding import Finder
from cocoon.requester.kernels import OWN_FAULT, outputs_of
from cocoon.requester.plan import KernelRequest, Progress, size_of
from cocoon.words import kernel_words, progress_words, receipt_words, result_json
from contracts.units import TICKER, format_coins
from kernels.custom import BadManifest, KernelJob, read_manifest
from overlay.ids import short

NOBODY: Final = (
    "nobody sells time to kernels here: check network.bootstrap, or wait for one "
    "(a provider sets provider.kernels.enabled)"
)
COLUMNS: Final = ("provider", "class", "per 1000 ms", "this job at most", "free", "")


def submit_command(parsed: argparse.Namespace, output: Output) -> int:
    """Buy one run of a kernel."""
    job = _job(parsed)
    if parsed.dry_run:
        work = partial(_look, load(parsed), job, parsed.device, output)
        return run_interruptible(work)
    return _submit(parsed, job, output)


def _job(parsed: argparse.Namespace) -> KernelJob:
    try:
        job = read_manifest(parsed.manifest)
    except BadManifest as error:
        raise ConfigError(str(error)) from error
    if parsed.ms is None:
        return job
    limits = msgspec.structs.replace(job.limits, time_ms=parsed.ms)
    return msgspec.structs.replace(job, limits=limits)


def _submit(parsed: argparse.Namespace, job: KernelJob, output: Output) -> int:
    with Steps(output) as steps:
        teller = _Teller(steps)

        async def choose(node: Node) -> KernelRequest:
            steps.step("looking for providers of kernels")
            device = await choose_device(_finder(node), parsed.device)
            steps.say(f"class {PROFILES[device].name}: 1 ms is {PROFILES[device].unit}")
            return KernelRequest(job=job, device=device)

        try:
            result, interrupted = buy(parsed, choose, teller.hear, output)
        except Refused as refused:
            if refused.code == RefusalCode.INPUT.value:
                raise ConfigError(
                    f"the kernel was refused, and nothing was paid: {refused.detail}\n"
                    "(cocoon kernel run checks it on this machine)"
                ) from refused
            raise
    plain = result_json(result, interrupted)
    return _report(parsed.out, job, result, plain, output)


class _Teller:
    """Tells the steps of a job as they come, each once."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._told = ""
        self._upload = False

    def hear(self, event: JobProgress) -> None:
        """Take in a step."""
        if not isinstance(event, KernelCame):
            if words := progress_words(event):
                tell = self._steps.go_on if self._uploading(event) else self._steps.step
                tell(words)
            return
        step = "receiving the result" if event.received_bytes else event.step
        if step and step != self._told:
            self._told = step
            self._steps.step(step)

    def _uploading(self, event: JobProgress) -> bool:
        """Return whether the step before was the same: the upload."""
        before, self._upload = self._upload, isinstance(event, InputSent)
        return before and self._upload


def _report(
    folder: Path | None,
    job: KernelJob,
    result: JobResult,
    plain: dict[str, object],
    output: Output,
) -> int:
    """Keep the result and tell it; a kernel that failed has none, and a bill all the same."""
    failed = result.finish in OWN_FAULT
    outputs = () if failed else outputs_of(job, result)
    saved = save_arrays(outputs, folder or Path(f"kernel-{result.job_id}")) if outputs else {}
    if failed:
        output.note(f"the kernel failed ({result.finish.value}): {result.note}")
    elif outputs:
        show_arrays(outputs, output)
    for line in (kernel_words(result), *receipt_words(result)):
        output.say(line)
    for path in saved.values():
        output.say(f"saved {path}")
    profile = _profile(result.resource_class)
    meter = {"metered_ms": result.metered_ms, "class": profile.name, "unit": profile.unit}
    told = {"meter": meter, "note": result.note, "outputs": arrays_json(outputs, saved)}
    output.result({key: plain[key] for key in plain if key not in CHAT_ONLY} | told)
    return exit_code(JobFailed()) if failed else 0


CHAT_ONLY: Final = frozenset({"text", "tokens", "tokens_per_s", "time_to_first_token_s"})


def _profile(resource_class: str) -> KernelProfile:
    return next(each for each in PROFILES.values() if each.resource_class == resource_class)


# --- looking ---


def _finder(node: Node) -> Finder:
    patience_s = node.config.requester.compare_timeout_s
    return Finder(node.directory, node.clock, node.identity.peer_id, patience_s)


async def choose_device(finder: Finder, wanted: str) -> KernelDevice:
    """Return what kernels shall run on: as told, or a GPU when anybody sells one, else a CPU."""
    for device in PROFILES:
        if wanted == device:
            return device
    await finder.discover(*(profile.resource_class for profile in PROFILES.values()))
    for device, profile in PROFILES.items():
        if finder.listings(profile.resource_class):
            return device
    raise NoProvider(NOBODY)


async def _look(config: NodeConfig, job: KernelJob, wanted: str, output: Output) -> int:
    """Show what the job would cost where, and buy nothing."""
    devices = [device for device in PROFILES if wanted in {"auto", device}]
    async with open_node(config, must_join=True) as node:
        finder = _finder(node)
        await finder.discover(*(PROFILES[device].resource_class for device in devices))
        found = [
            (device, listing)
            for device in devices
            for listing in finder.listings(PROFILES[device].resource_class)
        ]
    lines = [_line(KernelRequest(job=job, device=device), one) for device, one in found]
    lines.sort(key=lambda line: (bool(line.problem), line.at_most_nanoton))
    output.result(lines)
    if not lines:
        raise NoProvider(NOBODY)
    output.table("", COLUMNS, [line.row() for line in lines])
    output.say("nothing was bought; without --dry-run it is")
    return 0


class Line(msgspec.Struct, frozen=True):
    """What one provider would take for a job, and why it would not."""

    provider: str
    name: str
    unit: str
    gpu_ms_nanoton_per_1000: int
    at_most_nanoton: int
    free_slots: int
    problem: str

    def row(self) -> tuple[str, ...]:
        """Return it as a row of the table."""
        return (
            short(self.provider),
            self.name,
            format_coins(self.gpu_ms_nanoton_per_1000),
            f"{format_coins(self.at_most_nanoton)} {TICKER}",
            str(self.free_slots),
            self.problem,
        )


def _line(request: KernelRequest, listing: Listing) -> Line:
    quote, size = listing.quote, size_of(request, Progress())
    return Line(
        provider=quote.peer_id,
        name=request.profile.name,
        unit=request.profile.unit,
        gpu_ms_nanoton_per_1000=quote.schedule.gpu_ms,
        at_most_nanoton=worst_case_cost(quote.schedule, size),
        free_slots=quote.free_slots,
        problem="; ".join(filter(None, (*listing.reasons, too_small(quote.limits, size)))),
    )
