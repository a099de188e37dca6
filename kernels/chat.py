"""``python -m kernels.chat "What is 2+2?"``: ask a chat model on this machine, with no market."""

import argparse
import sys
import time
from typing import Final

from kernels.console import Console, run
from kernels.errors import InvalidInput
from kernels.models.chat import ChatModel, ChatTurn, open_chat_model
from kernels.models.installed import find_model
from kernels.models.sampling import Sampling

DEFAULT_MODEL: Final = "SmolLM2-135M-Instruct"


def main(arguments: list[str] | None = None) -> int:
    """Answer one question, streamed; return the exit code."""
    parsed = _parser().parse_args(arguments)
    return run(lambda: _answer(parsed), as_json=parsed.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kernels.chat", description=__doc__)
    parser.add_argument("prompt", help='what to ask; "-" reads it from standard input')
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a GGUF file, or a known name")
    parser.add_argument("--system", default="", help="a system message")
    parser.add_argument("--tokens", type=int, default=512, help="at most so many (512)")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (0)")
    parser.add_argument("--top-k", type=int, default=0, help="keep the K likeliest; 0: all")
    parser.add_argument("--top-p", type=float, default=1.0, help="keep this probability (1)")
    parser.add_argument("--seed", type=int, default=0, help="of the random choice (0)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: all there are")
    parser.add_argument("--json", action="store_true", help="one JSON line for each piece")
    return parser


def _answer(parsed: argparse.Namespace) -> int:
    console = Console(as_json=parsed.json)
    if not 1 <= parsed.tokens <= 1 << 20 or not 0 <= parsed.threads <= 64:
        raise InvalidInput("--tokens is at least 1, --threads from 0 to 64")
    sampling = Sampling(parsed.temperature, parsed.top_k, parsed.top_p, parsed.seed)
    question = sys.stdin.read() if parsed.prompt == "-" else parsed.prompt
    system = [ChatTurn("system", parsed.system)] if parsed.system else []
    console.progress(f"loading {parsed.model} ...")
    path = find_model(parsed.model, "chat")
    model = open_chat_model(path, device=parsed.device, threads=parsed.threads)
    prompt = model.encode_chat([*system, ChatTurn("user", question)])
    console.progress("")
    _stream(console, model, prompt, sampling, parsed.tokens)
    return 0


def _stream(
    console: Console, model: ChatModel, prompt: list[int], sampling: Sampling, tokens_max: int
) -> None:
    begun_s = time.perf_counter()
    answer = model.generate(
        prompt, sampling=sampling, tokens_max=tokens_max, should_stop=lambda: False
    )
    first_s, count = begun_s, 0
    for piece in answer:
        count += 1
        first_s = time.perf_counter() if count == 1 else first_s
        if console.as_json:
            console.result({"token_id": piece.token_id, "text": piece.text})
        else:
            console.text(piece.text)
    took_s = time.perf_counter() - first_s
    speed = round((count - 1) / took_s, 1) if count > 1 and took_s > 0 else 0.0
    engine = f"{model.device}, {model.engine}"
    if console.as_json:
        console.result(
            {
                "finish_reason": answer.finish_reason,
                "prompt_tokens": len(prompt),
                "output_tokens": count,
                "first_token_s": round(first_s - begun_s, 4),
                "tokens_per_s": speed,
                "engine": engine,
                "model_id": model.model_id,
            }
        )
        return
    console.text("\n")
    console.note(
        f"[{count} tokens, {speed} tokens/s, first after {first_s - begun_s:.2f} s; {engine}; "
        f"ended by {answer.finish_reason}]"
    )


if __name__ == "__main__":
    sys.exit(main())
