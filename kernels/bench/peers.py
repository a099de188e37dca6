"""The other engines, where they are installed. Their packages have no types."""

import contextlib
import ctypes
import importlib
import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernels.models.ct2 import open_ct2
from kernels.models.mel import mel_filters
from kernels.models.tokenizer import byte_alphabet

Floats = NDArray[np.float32]

PACKAGES: Final = ("llama-cpp-python", "pywhispercpp", "ctranslate2")
Q4_0_FILE_TYPE: Final = 2
GGML_MAGIC: Final = 0x67676D6C


def installed() -> dict[str, str]:
    """Return the peers that are here, with their versions."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


_kept: list[object] = []


@cache
def _llama_api() -> Any:  # noqa: ANN401  (a module without types)
    """Return llama-cpp-python with its log switched off."""
    api: Any = importlib.import_module("llama_cpp")
    quiet = api.llama_log_callback(lambda *_: None)
    _kept.append(quiet)  # for C holds on to it
    api.llama_log_set(quiet, None)
    api.llama_backend_init()
    return api


class LlamaCpp:
    """llama.cpp through llama-cpp-python's low-level calls; one sequence.

    Args:
        path: a GGUF file.
        threads: for single tokens and for prompts.
        context_tokens: of the cache, whose numbers are fp32 with *exact*, else fp16.
    """

    def __init__(
        self, path: Path, *, threads: int = 1, context_tokens: int = 1024, exact: bool = False
    ) -> None:
        self._api = _llama_api()
        wanted = self._api.llama_model_default_params()
        self._model = self._api.llama_model_load_from_file(os.fsencode(path), wanted)
        settings = self._api.llama_context_default_params()
        settings.n_ctx = settings.n_batch = context_tokens
        settings.n_threads = settings.n_threads_batch = threads
        if exact:
            settings.type_k = settings.type_v = 0  # GGML_TYPE_F32
            settings.flash_attn_type = 0
        self._context = self._api.llama_init_from_model(self._model, settings)
        self._vocabulary_handle = self._api.llama_model_get_vocab(self._model)
        self.vocabulary: Final = int(self._api.llama_vocab_n_tokens(self._vocabulary_handle))

    def reset(self) -> None:
        """Forget the sequence."""
        self._api.llama_memory_clear(self._api.llama_get_memory(self._context), True)

    def extend(self, token_ids: Sequence[int]) -> Floats:
        """Take in tokens; return the logits that follow."""
        ids = (self._api.llama_token * len(token_ids))(*token_ids)
        batch = self._api.llama_batch_get_one(ids, len(ids))
        if self._api.llama_decode(self._context, batch) != 0:
            raise RuntimeError("llama_decode failed")
        pointer = self._api.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, (self.vocabulary,)).copy()

    def tokenize(self, text: str) -> list[int]:
        """Return the tokens of *text*, special ones not parsed."""
        return _tokenize(self._api, self._vocabulary_handle, text)

    def close(self) -> None:
        """Free the model."""
        self._api.llama_free(self._context)
        self._api.llama_model_free(self._model)


def _tokenize(api: Any, vocabulary: Any, text: str) -> list[int]:  # noqa: ANN401
    data = text.encode()
    room = len(data) + 8
    ids = (api.llama_token * room)()
    count = api.llama_tokenize(vocabulary, data, len(data), ids, room, False, False)
    return list(ids[:count])


def llama_tokens(path: Path, texts: Sequence[str]) -> list[list[int]]:
    """Return llama.cpp's tokens of *texts*, by the vocabulary in *path*; it needs no weights."""
    api = _llama_api()
    wanted = api.llama_model_default_params()
    wanted.vocab_only = True
    model = api.llama_model_load_from_file(os.fsencode(path), wanted)
    if not model:
        raise RuntimeError("llama.cpp does not load the vocabulary")
    vocabulary = api.llama_model_get_vocab(model)
    found = [_tokenize(api, vocabulary, text) for text in texts]
    api.llama_model_free(model)
    return found


def requantise(source: Path, target: Path, file_type: int = Q4_0_FILE_TYPE) -> None:
    """Write *source* in another type, by default Q4_0: llama.cpp has its fastest kernels for it."""
    api = _llama_api()
    wanted = api.llama_model_quantize_default_params()
    wanted.ftype = file_type
    wanted.allow_requantize = True
    if api.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(wanted)):
        raise RuntimeError("llama_model_quantize failed")


class CTranslate2:
    """Whisper by CTranslate2; *kind* is "int8" or "float32"."""

    def __init__(self, folder: Path, kind: str, *, threads: int = 1) -> None:
        api: Any = importlib.import_module("ctranslate2")
        self._storage = api.StorageView
        with tempfile.TemporaryDirectory() as work:
            _write_ctranslate2_folder(folder, Path(work))
            self._model = api.models.Whisper(
                work, device="cpu", compute_type=kind, intra_threads=threads, inter_threads=1
            )

    def decode(self, mel: Floats, prompt: Sequence[int], tokens_max: int) -> list[int]:
        """Return the tokens after *prompt*, greedily, with CTranslate2's own suppression."""
        features = self._storage.from_array(np.ascontiguousarray(mel[None]))
        encoded = self._model.encode(features)
        result = self._model.generate(
            encoded, [list(prompt)], beam_size=1, max_length=len(prompt) + tokens_max
        )
        return list(result[0].sequences_ids[0])


class FasterWhisper:
    """CTranslate2's Whisper end to end, in fp32: faster-whisper, which cuts the windows."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        api: Any = importlib.import_module("faster_whisper")
        with tempfile.TemporaryDirectory() as work:
            _write_ctranslate2_folder(folder, Path(work))
            (Path(work) / "tokenizer.json").symlink_to((folder / "tokenizer.json").resolve())
            self._model = api.WhisperModel(
                work, device="cpu", compute_type="float32", cpu_threads=threads
            )

    def transcribe(self, samples: Floats) -> str:
        """Return the text of 16 kHz mono samples, decoded greedily, each window for itself."""
        segments, _ = self._model.transcribe(
            samples, language="en", beam_size=1, condition_on_previous_text=False
        )
        return " ".join(segment.text.strip() for segment in segments)


class WhisperCpp:
    """Whisper by whisper.cpp, through pywhispercpp's low-level calls."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        model = importlib.import_module("pywhispercpp.model")
        self._model: Any = model.Model(
            str(path), n_threads=threads, print_progress=False, print_realtime=False,
            redirect_whispercpp_logs_to=None,
        )  # fmt: skip

    def transcribe(self, samples: Floats) -> str:
        """Return the text of 16 kHz mono samples."""
        segments = self._model.transcribe(samples, temperature_inc=0.0)
        return " ".join(segment.text.strip() for segment in segments)


class _Vocabulary(msgspec.Struct, frozen=True):
    vocab: dict[str, int]


class _Added(msgspec.Struct, frozen=True):
    id: int
    content: str


class _Tokenizer(msgspec.Struct, frozen=True):
    model: _Vocabulary
    added_tokens: tuple[_Added, ...]


def _write_ctranslate2_folder(source: Path, target: Path) -> None:
    """Fill *target* as CTranslate2 wants it: with a vocabulary, which we do not keep."""
    words = msgspec.json.decode((source / "tokenizer.json").read_bytes(), type=_Tokenizer)
    size = open_ct2(source / "model.bin").shape("decoder/embeddings/weight", 2)[0]
    tokens = [f"<|{index}|>" for index in range(size)]
    for text, index in words.model.vocab.items():
        tokens[index] = text
    for added in words.added_tokens:
        tokens[added.id] = added.content
    (target / "vocabulary.json").write_bytes(msgspec.json.encode(tokens))
    for name in ("model.bin", "config.json"):
        (target / name).symlink_to((source / name).resolve())


def write_ggml(folder: Path, target: Path) -> None:
    """Write a Whisper model in CTranslate2's form as whisper.cpp's, with fp16 weights.

    Layout: whisper.cpp's models/convert-pt-to-ggml.py.
    """
    variables = open_ct2(folder / "model.bin").variables
    words = msgspec.json.decode((folder / "tokenizer.json").read_bytes(), type=_Tokenizer)
    words_by_id = sorted((index, text) for text, index in words.model.vocab.items())
    ordinary = [text for _, text in words_by_id if not text.startswith("<|")]
    alphabet = byte_alphabet()
    with target.open("wb") as out:
        out.write(struct.pack("<12i", GGML_MAGIC, *_ggml_shape(variables)))
        filters = mel_filters(80)
        out.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        out.write(struct.pack("<i", len(ordinary)))
        for text in ordinary:
            data = bytes(alphabet[character] for character in text)
            out.write(struct.pack("<i", len(data)) + data)
        for name, array in _ggml_tensors(variables):
            out.write(_ggml_tensor(name, array))


def _layers(variables: Any, side: str) -> int:  # noqa: ANN401  (a mapping of arrays)
    names = {name.split("/")[1] for name in variables if name.startswith(f"{side}/layer_")}
    return len(names - {"layer_norm"})


def _ggml_shape(variables: Any) -> tuple[int, ...]:  # noqa: ANN401
    vocabulary, width = variables["decoder/embeddings/weight"].shape
    heads = int(variables["encoder/num_heads"])
    layers = [_layers(variables, side) for side in ("encoder", "decoder")]
    return vocabulary, 1500, width, heads, layers[0], 448, width, heads, layers[1], 80, 1


def _ggml_tensor(name: str, array: NDArray[Any]) -> bytes:
    wide = array.ndim < 2 or "bias" in name or "positional" in name
    numbers = np.ascontiguousarray(array, np.float32 if wide else np.float16)
    head = struct.pack("<3i", numbers.ndim, len(name), 0 if wide else 1)
    return (
        head
        + struct.pack(f"<{numbers.ndim}i", *numbers.shape[::-1])
        + name.encode()
        + (numbers.tobytes())
    )


def _ggml_tensors(v: Any) -> Iterator[tuple[str, NDArray[Any]]]:  # noqa: ANN401
    for conv in ("conv1", "conv2"):
        yield f"encoder.{conv}.weight", v[f"encoder/{conv}/weight"]
        yield f"encoder.{conv}.bias", v[f"encoder/{conv}/bias"].reshape(-1, 1)
    for side in ("encoder", "decoder"):
        places = v[f"{side}/position_encodings/encodings"]
        yield f"{side}.positional_embedding", places
    yield "decoder.token_embedding.weight", v["decoder/embeddings/weight"]
    for target, source in (("encoder.ln_post", "encoder"), ("decoder.ln", "decoder")):
        yield f"{target}.weight", v[f"{source}/layer_norm/gamma"]
        yield f"{target}.bias", v[f"{source}/layer_norm/beta"]
    for side in ("encoder", "decoder"):
        for layer in range(_layers(v, side)):
            yield from _ggml_block(v, f"{side}/layer_{layer}", f"{side}.blocks.{layer}", side)


def _ggml_block(v: Any, source: str, target: str, side: str) -> Iterator[tuple[str, NDArray[Any]]]:  # noqa: ANN401
    parts = [("attn", "self_attention"), ("mlp", "ffn")]
    if side == "decoder":
        parts.insert(1, ("cross_attn", "attention"))
    for short, part in parts:
        yield f"{target}.{short}_ln.weight", v[f"{source}/{part}/layer_norm/gamma"]
        yield f"{target}.{short}_ln.bias", v[f"{source}/{part}/layer_norm/beta"]
        for name, kind, array in _ggml_maps(v, f"{source}/{part}", short):
            if (name, kind) != ("key", "bias"):
                yield f"{target}.{short}.{name}.{kind}", array


def _ggml_maps(v: Any, source: str, short: str) -> Iterator[tuple[str, str, NDArray[Any]]]:  # noqa: ANN401
    for kind in ("weight", "bias"):
        maps = [v.get(f"{source}/linear_{index}/{kind}") for index in range(3)]
        if short == "attn":
            names = ("query", "key", "value", "out")
            arrays = [*np.split(maps[0], 3), maps[1]]
        elif short == "cross_attn":
            names = ("query", "key", "value", "out")
            arrays = [maps[0], *np.split(maps[1], 2), maps[2]]
        else:
            names, arrays = ("0", "2", "", ""), maps[:2]
        for name, array in zip(names, arrays, strict=False):
            yield name, kind, array
