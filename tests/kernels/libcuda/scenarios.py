"""What is tried on the fixture, in one process of its own; prints a line of JSON.

Each scenario is a function; what it returns is compared by test_pycuda.py, and what it raises is
reported there.
"""

import dataclasses
import json
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # kernel_cases.py, test_llama_cuda.py

import numpy as np
from host import CAPABILITY, Fixture, connect
from kernel_cases import ATTENTION, cases_of, largest_error, random_arrays, run
from model_files import ct2_bytes, whisper_variables
from test_llama_cuda import CONFIG, random_weights, token_ids

from kernels import _cuda
from kernels._cpu import CpuDevice
from kernels._cuda import open_cuda
from kernels._cuda_graphs import GraphCalls
from kernels.device import Device
from kernels.errors import InvalidInput, KernelError
from kernels.models.ct2 import open_ct2
from kernels.models.decoder import Step
from kernels.models.llama import NumpyDecoder
from kernels.models.llama_cuda import DeviceDecoder
from kernels.models.sampling import Choice, Sampling
from kernels.models.whisper_cuda import DeviceNetwork
from kernels.models.whisper_network import WhisperNetwork
from kernels.registry import kernel, kernel_names


def refusal(use: Callable[[], object]) -> str:
    """Return the class and the words of the error that *use* raises, or ""."""
    try:
        use()
    except KernelError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def memory(fixture: Fixture) -> dict[str, object]:
    with closing(open_cuda()) as device:
        buffer = device.allocate(4099)
        fresh = bytes(device.copy_out(buffer, 4099))
        device.copy_in(buffer, b"\xff" * 4099)
        written = bytes(device.copy_out(buffer, 4099))
        device.clear(buffer)
        cleared = bytes(device.copy_out(buffer, 4099))
        info = device.memory_info()
        found = {
            "zeroed": fresh == cleared == bytes(4099),
            "written": written == b"\xff" * 4099,
            "used_bytes": info.total_bytes - info.free_bytes,
            "too_much": refusal(lambda: device.allocate(info.total_bytes * 2)),
            "too_long": refusal(lambda: device.copy_in(buffer, bytes(4100))),
        }
        device.free(buffer)
        found["freed"] = refusal(lambda: device.clear(buffer))
        found["freed_bytes"] = device.memory_info().free_bytes - info.free_bytes
    return found


def every_kernel(fixture: Fixture) -> dict[str, float]:
    """The error of each kernel, in units of what its spec accepts."""
    random, errors = np.random.default_rng(3), {}
    with closing(open_cuda()) as device:
        for name in kernel_names():
            spec = kernel(name)
            scalars = cases_of(spec)[2]
            arrays = random_arrays(spec, scalars, random)
            wanted = run(CpuDevice(), spec, arrays, scalars)
            found = run(device, spec, arrays, scalars)
            worst = max(
                largest_error(each, found[each.name], wanted[each.name]) for each in spec.arrays
            )
            errors[name] = worst / spec.tolerance if spec.tolerance else worst
    return errors


def streams(fixture: Fixture) -> dict[str, object]:
    with closing(open_cuda()) as device:
        before = fixture.counts()
        spec = kernel("argmax_naive")
        scalars = cases_of(spec)[0]
        run(device, spec, random_arrays(spec, scalars, np.random.default_rng(0)), scalars)
        device.synchronise()
        during = fixture.counts()
    return {
        "launches": during["launches"] - before["launches"],
        "during": {name: during[name] for name in ("contexts", "streams", "modules")},
        "after": {name: fixture.counts()[name] for name in ("contexts", "streams", "modules")},
        "allocations_left": len(fixture.executor.buffers()),
    }


def a_decoder(fixture: Fixture) -> dict[str, object]:
    weights = random_weights()
    expected = NumpyDecoder(weights).new_sequence(64)
    worst = 0.0
    with closing(open_cuda()) as device:
        before = fixture.counts()["launches"]
        found = DeviceDecoder(device, weights, precision="f32").new_sequence(64)
        for part in (token_ids(9), [3], [60]):
            wanted, logits = expected.extend(part), found.extend(part)
            worst = max(worst, float(np.abs(logits - wanted).max() / np.abs(wanted).max()))
        launches = fixture.counts()["launches"] - before
    return {"error": worst, "launches_a_step": launches / 3}


def asked(fixture: Fixture, before: dict[str, int]) -> int:
    """How often the driver was asked to start something since *before*."""
    now = fixture.counts()
    return sum(now[name] - before[name] for name in ("launches", "graph_starts"))


def repeated_launches(fixture: Fixture) -> dict[str, object]:
    """As many layers and heads as SmolLM2-135M, and narrow: what is asked of the driver a token."""
    config = dataclasses.replace(CONFIG, layers=30, width=64, feed_forward_width=64)
    weights, starts, found = random_weights(config), [], []
    host = DeviceDecoder(CpuDevice(), weights).new_sequence(16)
    choice = Choice(Sampling(0.8, 20, 0.95, 3), 1)
    with closing(open_cuda()) as device:
        decoder = DeviceDecoder(device, weights)
        card = decoder.new_sequence(16)
        for token in token_ids(5):
            before = fixture.counts()
            found.append(card.extend_and_choose([token], choice))
            starts.append(asked(fixture, before))
            wanted = host.extend_and_choose([token], choice)
            found[-1] = found[-1] == wanted
        during = fixture.counts()["graphs"]
        card.close()
        left = fixture.counts()["graphs"]
        other = decoder.new_sequence(16)
        same = other.extend([1]).tobytes() == decoder.new_sequence(8).extend([1]).tobytes()
    return {
        "starts": starts,
        "right": found,
        "graphs": [during, left, fixture.counts()["graphs"]],
        "others": same,
    }


def repeated_batches(fixture: Fixture) -> dict[str, object]:
    """Logits of texts decoded together, batch by batch, against each text alone on the host."""
    weights = random_weights(dataclasses.replace(CONFIG, layers=1))
    host = DeviceDecoder(CpuDevice(), weights)
    found: dict[str, object] = {}
    with closing(open_cuda()) as device:
        decoder = DeviceDecoder(device, weights)
        for batch in (1, 8, 32):
            texts = [decoder.new_sequence(8) for _ in range(batch)]
            alone = [host.new_sequence(8) for _ in range(batch)]
            same = []
            before = fixture.counts()["graph_starts"]
            for turn in range(4):
                ids = [(7 * turn + text) % CONFIG.vocabulary for text in range(batch)]
                steps = [Step(text, [each]) for text, each in zip(texts, ids, strict=True)]
                rows = decoder.extend_together(steps)
                wanted = [text.extend([each]) for text, each in zip(alone, ids, strict=True)]
                same.append([row.tobytes() for row in rows] == [row.tobytes() for row in wanted])
            found[str(batch)] = {
                "same": same,
                "repeated": fixture.counts()["graph_starts"] - before,
            }
            for text in texts:
                text.close()
    return found


def a_broken_recording(fixture: Fixture) -> dict[str, object]:
    """What is no launch ends a recording with an error, and the device works on."""
    spec = kernel("argmax_naive")
    with closing(open_cuda()) as device:
        scores, best = device.allocate(400), device.allocate(4)
        arguments = {"scores": scores, "best": best, "tokens": 1, "vocabulary": 100}

        def launches() -> None:
            device.launch(spec, arguments)

        def copies() -> None:
            launches()
            device.copy_in(scores, bytes(400))

        def fails() -> None:
            launches()
            raise InvalidInput("in the middle")

        for series in (copies, fails, launches):
            device.repeat(series.__name__, launches)
        found = {series.__name__: refusal(lambda s=series: device.repeat(s.__name__, s))
                 for series in (copies, fails, launches)}  # fmt: skip
        found["nested"] = refusal(
            lambda: device.repeat("new", lambda: device.repeat("launches", launches))
        )
        device.copy_in(scores, np.arange(100, dtype=np.float32).data)
        device.repeat("launches", launches)
        found["best"] = int.from_bytes(device.copy_out(best, 4), "little")
        device.free(best)
        found["freed"] = refusal(lambda: device.repeat("launches", launches))
    return found | {"graphs": fixture.counts()["graphs"]}


def a_driver_without_graphs(fixture: Fixture) -> dict[str, object]:
    """One that is too old to have them, and one that refuses when it is asked for one."""
    host = DeviceDecoder(CpuDevice(), random_weights()).new_sequence(8)
    wanted = [host.extend([each]).tobytes() for each in (1, 2, 3, 4)]
    before, same = fixture.counts(), []
    honest = _cuda.open_graph_calls

    def refuses(stream: int) -> GraphCalls:
        calls = GraphCalls(stream)
        calls._functions["cuGraphInstantiateWithFlags"] = lambda *_: 801
        return calls

    try:
        for opens in (lambda _stream: None, refuses):
            _cuda.open_graph_calls = opens
            with closing(open_cuda()) as device:
                text = DeviceDecoder(device, random_weights()).new_sequence(8)
                same.append([text.extend([each]).tobytes() for each in (1, 2, 3, 4)] == wanted)
    finally:
        _cuda.open_graph_calls = honest
    now = fixture.counts()
    return {"same": same, "starts": now["graph_starts"] - before["graph_starts"],
            "graphs": now["graphs"]}  # fmt: skip


def a_choice(_fixture: Fixture) -> dict[str, object]:
    """Tokens are chosen on the card as on the NumPy device."""
    weights, prompt = random_weights(), token_ids(9)
    samplings = (Sampling(), Sampling(0.8, 20, 0.95, 3), Sampling(4.0, seed=2**64 - 1))

    def answers(device: Device) -> list[int | None]:
        decoder, found = DeviceDecoder(device, weights), list[int | None]()
        for sampling in samplings:
            sequence, pending = decoder.new_sequence(64), prompt
            for step in range(6):
                chosen = sequence.extend_and_choose(pending, Choice(sampling, 9 + step))
                found.append(chosen)
                pending = [chosen or 0]
        return found

    with closing(open_cuda()) as device:
        return {"card": answers(device), "numpy": answers(CpuDevice())}


def a_recogniser(_fixture: Fixture) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.bin"
        path.write_bytes(ct2_bytes(whisper_variables(vocabulary_size=77, width=64, positions=20)))
        file = open_ct2(path)
        mel = np.random.default_rng(1).normal(0, 0.5, (80, 40)).astype(np.float32)
        wanted = WhisperNetwork(file).encode(mel).new_text()
        worst = 0.0
        with closing(open_cuda()) as device:
            found = DeviceNetwork(device, file).encode(mel).new_text()
            for part in ([3, 5, 7], [11], [70]):
                logits = wanted.extend(part)
                error = np.abs(found.extend(part) - logits).max() / np.abs(logits).max()
                worst = max(worst, float(error))
            del found
    return {"error": worst}


def a_fault(fixture: Fixture) -> dict[str, object]:
    """A kernel that reads beyond its buffer, because its spec is wrong about a shape."""
    honest = kernel("argmax_naive")
    scores, best, *sizes = honest.parameters
    lying = dataclasses.replace(
        honest, parameters=(dataclasses.replace(scores, shape=lambda _s: (1,)), best, *sizes)
    )
    device = open_cuda()
    small, result = device.allocate(4), device.allocate(4)
    arguments = {"scores": small, "best": result, "tokens": 1, "vocabulary": 1000}
    first = refusal(lambda: (device.launch(lying, arguments), device.synchronise()))
    found = {
        "first": first,
        "what": fixture.executor.last_fault,
        "then": refusal(lambda: device.allocate(4)),
        "close": refusal(device.close),
    }
    for block in fixture.executor.buffers():  # the driver's work when a context dies
        fixture.executor.release(block.address)
    with closing(open_cuda()) as again:
        found["again"] = bytes(again.copy_out(again.allocate(3), 3)) == bytes(3)
    return found


def threads(fixture: Fixture) -> dict[str, object]:
    with closing(open_cuda()) as device:
        heard: list[str] = []

        def other() -> None:
            heard.extend(
                refusal(use)
                for use in (device.synchronise, device.close, lambda: device.allocate(1))
            )

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        own = refusal(device.synchronise)
    return {"others": heard, "own": own, "closed": refusal(device.synchronise)}


def machine_code(fixture: Fixture) -> dict[str, object]:
    """A card that NVRTC knows gets a cubin, which this driver can load and not run."""
    fixture.show_card(86)
    try:
        with closing(open_cuda()) as device:
            spec = kernel("attention")
            scalars = ATTENTION[0]
            arrays = random_arrays(spec, scalars, np.random.default_rng(0))
            failure = refusal(lambda: run(device, spec, arrays, scalars))
            image = fixture.executor.images[-1]
    finally:
        fixture.show_card(CAPABILITY)
    return {
        "elf": image[:4] == b"\x7fELF",
        "machine": int.from_bytes(image[18:20], "little"),
        "failure": failure,
    }


def a_broken_module(fixture: Fixture) -> dict[str, object]:
    device = open_cuda()
    try:
        load = device._driver.module_from_buffer
        error = ""
        try:
            load(b".version 8.0\n.target sm_75\nnonsense\0")
        except device._driver.Error as failure:
            error = str(failure)
        return {"error": error, "why": fixture.executor.last_fault}
    finally:
        device.close()


SCENARIOS = (
    memory, every_kernel, streams, a_decoder, repeated_launches, repeated_batches,
    a_broken_recording, a_driver_without_graphs, a_choice, a_recogniser, threads, machine_code,
    a_broken_module, a_fault,
)  # fmt: skip


def main() -> None:
    fixture = connect()
    found = {}
    for each in SCENARIOS:
        try:
            found[each.__name__] = each(fixture)
        except Exception:  # noqa: BLE001 - the test reports it
            found[each.__name__] = {"raised": traceback.format_exc()}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
