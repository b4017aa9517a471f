"""Repositories made to harm: what each of them holds, and how it must end.

Not a test. ``CASES`` is a table; ``test_hub_hostile.py`` serves each of them from the Hub on
loopback. Nothing here was taken from anywhere: every file is made from a tiny random network.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Files = dict[str, bytes]
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "card.json"
PROCESSOR = "preprocessor_config.json"
MARKER_VARIABLE = "HOSTILE_MARKER"
ESCAPES = "\x1b[2J\x1b[1;31mREAL\x1b]0;owned\x07\u202egnp.eslaf\r\nINFO all files are authentic"
REFUSED, MISSING, UNCLEAR = "weights_refused", "weights_missing", "labels_ambiguous"


@dataclass(frozen=True)
class Case:
    """One repository.

    Attributes:
        name: what is wrong with it.
        make: changes the files of an honest repository.
        code: how it must be refused, or None when it must load with the evil part ignored.
        words: part of the sentence.
        sizes: what the Hub claims that files have, in bytes.
    """

    name: str
    make: Callable[[Files], Files]
    code: str | None = REFUSED
    words: str = ""
    sizes: tuple[tuple[str, int], ...] = ()


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __reduce__(self) -> tuple:
        return (os.system, (f'touch "${MARKER_VARIABLE}"',))


def bomb() -> bytes:
    return pickle.dumps(Bomb())


def put(**files: bytes | None) -> Callable[[Files], Files]:
    """Add, replace or (None) remove files; ``__`` in a keyword stands for a dot."""

    def make(honest: Files) -> Files:
        named = {key.replace("__", "."): value for key, value in files.items()}
        return {k: v for k, v in (honest | named).items() if v is not None}

    return make


def named(name: str, content: bytes = b"x", without: tuple[str, ...] = ()) -> Callable:
    """Add one file of any name."""
    return lambda honest: {k: v for k, v in honest.items() if k not in without} | {name: content}


def edited(file: str, **changes: Any) -> Callable[[Files], Files]:
    """Change keys of a JSON file; the value ``...`` removes a key."""

    def make(honest: Files) -> Files:
        data = json.loads(honest[file]) | changes
        selected = {key: value for key, value in data.items() if value is not ...}
        return honest | {file: json.dumps(selected).encode()}

    return make


def config(**changes: Any) -> Callable[[Files], Files]:
    return edited(CONFIG, **changes)


def raw_config(key: str, text: str) -> Callable[[Files], Files]:
    """Put JSON into the config that Python would not write."""

    def make(honest: Files) -> Files:
        data = json.loads(honest[CONFIG])
        data.pop(key, None)
        return honest | {CONFIG: (json.dumps(data)[:-1] + f', "{key}": {text}}}').encode()}

    return make


def processor(**changes: Any) -> Callable[[Files], Files]:
    return edited(PROCESSOR, **changes)


def card(**changes: Any) -> Callable[[Files], Files]:
    """Add a card that is honest but for these keys."""
    honest_card = {
        "detector": "spatial", "title": "A card", "size_px": 32, "fake_indices": [1],
        "real_indices": [0], "labels_known_by": "made so",
    }  # fmt: skip
    return named(CARD, json.dumps(honest_card | changes).encode())


def timm(**changes: Any) -> Callable[[Files], Files]:
    """A config for timm's wrapper beside weights that it never gets to read."""
    data = {
        "architecture": "test_vit", "model_type": "timm_wrapper", "label_names": ["real", "fake"],
        "num_classes": 2, "pretrained_cfg": {"input_size": [3, 32, 32]},
    }  # fmt: skip
    return named(CONFIG, json.dumps(data | changes).encode())


def safetensors(header: object, data: bytes = b"\0" * 64, length: int | None = None) -> bytes:
    """A file with any header: an object, or text that is no JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape: Any = (2, 8), start: Any = 0, stop: Any = 64, dtype: Any = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def weights(header: object, data: bytes = b"\0" * 64, length: int | None = None) -> Callable:
    return named(WEIGHTS, safetensors(header, data, length))


def filled(value: float, part: str = "") -> Callable[[Files], Files]:
    """Fill the matrices whose name has ``part`` with one value."""

    def make(honest: Files) -> Files:
        from safetensors.numpy import load, save

        tensors = load(honest[WEIGHTS])
        for name, old in tensors.items():
            if part in name and old.ndim > 1:
                tensors[name] = np.full_like(old, value)
        return honest | {WEIGHTS: save(tensors, metadata={"format": "pt"})}

    return make


def without(part: str) -> Callable[[Files], Files]:
    """Leave out the weights whose name has ``part``."""

    def make(honest: Files) -> Files:
        from safetensors.numpy import load, save

        selected = {name: t for name, t in load(honest[WEIGHTS]).items() if part not in name}
        return honest | {WEIGHTS: save(selected, metadata={"format": "pt"})}

    return make


def zipped() -> bytes:
    """What torch.save writes: an archive with a pickle in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", bomb())
    return buffer.getvalue()


def nested(deep: int) -> bytes:
    return b'{"a":' * deep + b"1" + b"}" * deep


def pickled(name: str) -> Case:
    """A repository whose only weights are a pickle of this name."""
    return Case(f"only {name}", named(name, bomb(), without=(WEIGHTS,)), REFUSED, "run code")


LINE = {"scale": 0.0, "offset": 9.0, "fitted_on": "x", "n_real": 1, "n_fake": 1, "date": "x"}
EVIL_CODE = b"import os; os.system('touch \"$HOSTILE_MARKER\"')\n"
MANY = {f"t{i}": tensor((0,), 0, 0) for i in range(20_001)}

PICKLES = [
    *map(pickled, (
        "pytorch_model.bin", "model.pt", "model.pth", "last.ckpt", "model.pkl", "model.pickle",
        "tf_model.h5", "flax_model.msgpack", "model.joblib",
    )),
    Case("a pickle called safetensors", named(WEIGHTS, bomb() + b"\0" * 99), words="safetensors"),
    Case("an archive called safetensors", named(WEIGHTS, zipped()), words="safetensors"),
    Case("a pickle called config.json", named(CONFIG, bomb()), words="UTF-8"),
    Case("a pickle called card.json", named(CARD, bomb()), words="UTF-8"),
    Case("a pickle called README.md", named("README.md", bomb()), None),
    Case("a pickle beside honest weights", named("pytorch_model.bin", bomb()), None),
    Case("pickled arguments of training", named("training_args.bin", bomb()), None),
    Case("a pickle with escapes in its name",
         named("\x1b[2Jmodel.bin", bomb(), without=(WEIGHTS,)), words="run code"),
]  # fmt: skip
CODE = [
    Case("code called for by auto_map", lambda f: put(modeling_evil__py=EVIL_CODE)(
        config(auto_map={"AutoModelForImageClassification": "modeling_evil.Evil"})(f)),
        words="run code"),
    Case("auto_map in an inner config", config(vision_config={"auto_map": {"A": "evil.Evil"}}),
         words="run code"),
    Case("auto_map in a list", config(extra=[[{"auto_map": {"A": "evil.Evil"}}]]),
         words="run code"),
    Case("auto_map in the processor", processor(auto_map={"AutoImageProcessor": "evil.Evil"}),
         words="run code"),
    Case("a custom pipeline", config(custom_pipelines={"x": {"impl": "evil.Evil"}}),
         words="run code"),
    Case("attention kernels out of another repository",
         config(attn_implementation="evil/kernels", _attn_implementation="evil/kernels"), None),
    Case("code that lies there uncalled", put(modeling_vit__py=EVIL_CODE, conftest__py=EVIL_CODE),
         None),
    Case("a quantizer", config(quantization_config={"quant_method": "evil"}), words="quantization"),
    Case("a backbone out of another repository", config(backbone="evil/x"), words="backbone"),
    Case("an adapter", named("adapter_config.json", b'{"base_model_name_or_path": "evil/base"}'),
         words="adapter"),
    Case("timm told to open a file of the server",
         timm(model_args={"checkpoint_path": "/etc/passwd"}), words="checkpoint_path"),
    Case("timm told to fetch", timm(model_args={"pretrained": True}), words="pretrained"),
    Case("timm's overlay with an address",
         timm(model_args={"pretrained_cfg_overlay": {"url": "http://127.0.0.1:9/x"}}),
         words="pretrained_cfg_overlay"),
    Case("a timm network out of another repository", timm(architecture="hf-hub:evil/x"),
         words="fetch from elsewhere"),
    Case("a timm network out of a folder", timm(architecture="local-dir:/etc"),
         words="fetch from elsewhere"),
    Case("a hundred thousand layers of timm", timm(model_args={"depth": 100_000}), words="depth"),
    Case("arguments for timm that are a list", timm(model_args=["depth"]), words="an object"),
    Case("a path among the arguments of timm", timm(model_args={"global_pool": "../../x"}),
         words="one word"),
]  # fmt: skip
HEADERS = [
    Case("no bytes at all", named(WEIGHTS, b""), words="not a safetensors"),
    Case("seven bytes", named(WEIGHTS, b"1234567"), words="not a safetensors"),
    Case("a header longer than the file", weights({}, length=10_000), words="not a safetensors"),
    Case("a header of 8 exabytes", weights({}, length=2**63 - 1), words="not a safetensors"),
    Case("a header that is no JSON", weights(b"{{{{"), words="broken header"),
    Case("a header that is a list", weights([1, 2]), words="broken header"),
    Case("a header nested very deeply", weights(nested(900)), words="header"),
    Case("a tensor that is null", weights({"a": None}), words="broken header"),
    Case("an unknown kind of number", weights({"a": tensor(dtype="F1")}), words="broken header"),
    Case("a kind of number that is a list", weights({"a": tensor(dtype=[])}), words="broken"),
    Case("negative offsets", weights({"a": tensor(start=-64, stop=0)}), words="broken header"),
    Case("an infinite offset", weights(
        b'{"a":{"dtype":"F32","shape":[2,8],"data_offsets":[0,1e999]}}'), words="broken header"),
    Case("a shape larger than its bytes", weights({"a": tensor((2**40, 2**20))}), words="lies"),
    Case("two tensors on the same bytes", weights({"a": tensor(), "b": tensor()}), words="lies"),
    Case("a gap between tensors", weights(
        {"a": tensor(), "b": tensor(start=128, stop=192)}, b"\0" * 192), words="lies"),
    Case("bytes that no tensor owns", weights({"a": tensor()}, b"\0" * 80), words="no tensor owns"),
    Case("weights that are cut off", weights({"a": tensor()}, b"\0" * 60), words="cut off"),
    Case("no tensor but metadata", weights({"__metadata__": {"format": "pt"}}, b""),
         words="no weights"),
    Case("twenty thousand tensors", weights(MANY, b""), words="20001 tensors"),
    Case("a link in place of weights", named(WEIGHTS, b"../../../../../etc/passwd"),
         words="not a safetensors"),
]  # fmt: skip
NUMBERS = [
    Case("weights that are not numbers", filled(float("nan")), words="not numbers"),
    Case("infinite weights", filled(float("inf")), words="not numbers"),
    Case("logits beyond all measure", filled(1e30, "classifier"), words="finite numbers"),
    Case("no head", without("classifier"), words="no classification head"),
    Case("layers left out", without("layer.1."), words="lacks"),
]
CONFIGS = [
    Case("a config in another encoding", named(CONFIG, '{"a": "é"}'.encode("latin-1")),
         words="UTF-8"),
    Case("a config that is a list", named(CONFIG, b"[]"), words="not a JSON object"),
    Case("a config nested very deeply", named(CONFIG, nested(400)), words="nested too deeply"),
    Case("a config nested beyond JSON", named(CONFIG, nested(100_000)), words="not valid JSON"),
    Case("a number with 400 digits", raw_config("image_size", "1" + "0" * 400), words="absurdly"),
    Case("a number with 5,000 digits", raw_config("image_size", "1" * 5000), words="JSON"),
    Case("a size that is no number", raw_config("image_size", "NaN"), words="no finite number"),
    Case("a kind of model that is a list", config(model_type=["vit"]), words="model_type"),
    Case("a kind of model with escapes", config(model_type=ESCAPES), words="is not a picture"),
    Case("labels that are a list", config(id2label=["real", "fake"]), words="id2label"),
    Case("labels without an index", config(id2label={"x": "real"}), words="no indices"),
    Case("labels that skip an index", config(id2label={"0": "real", "9": "fake"}), words="skips"),
    Case("a thousand labels", config(id2label={str(i): "fake" for i in range(1000)}),
         words="no classification head"),
    Case("labels with escapes", config(id2label={"0": ESCAPES, "1": "x"}), UNCLEAR),
    Case("an image of 100,000 px", config(image_size=100_000), words="image_size"),
    Case("5,000 layers", config(num_hidden_layers=5000), words="num_hidden_layers"),
    Case("layers in words", config(num_hidden_layers="many"), words="a whole number"),
    Case("a billion wide", config(hidden_size=10**9), words="hidden_size"),
    Case("far more weights than there are", config(
        hidden_size=16_384, intermediate_size=16_384, num_hidden_layers=150), words="describes"),
    Case("a million patches", lambda f: processor(size=1024)(
        config(image_size=1024, patch_size=1)(f)), words="patches"),
    Case("a list of 10,000 depths", config(depths=[2] * 10_000), words="10000 values"),
    Case("one gray channel", config(num_channels=1), words="color channels"),
    Case("a processor that is no object", named(PROCESSOR, b"3"), words="not a JSON object"),
    Case("a size without form", processor(size=[[1], {}]), words="input size"),
    Case("a deviation of zero", processor(image_std=[0, 0, 0]), words="deviation"),
    Case("a mean with 400 digits", processor(image_mean=10**400), words="mean or deviation"),
]  # fmt: skip
CARDS = [
    Case("a card that decides every verdict", card(calibration=LINE), None),
    Case("a card with escapes", card(title=ESCAPES, limits=[ESCAPES]), None),
    Case("a card that is a list", named(CARD, b"[]"), words="an object"),
    Case("a card in UTF-16", named(CARD, "{}".encode("utf-16")), words="UTF-8"),
    Case("a card nested very deeply", card(figures=[json.loads(nested(300))]), words="figures"),
    Case("a card of wrong types", card(figures=7, trained_on={"a": 1}), words="expected"),
    Case("a card for a detector that is a list", card(detector=["spatial"]), words="detector"),
    Case("a card with an absurd input", card(frames=512, size_px=1024), words="too much"),
    Case("a card with an output that is not there", card(fake_indices=[99]), words="expected"),
    Case("a mean of 400 digits in a card", card(mean=[10**400, 0, 0]), words="mean"),
    Case("a title of a million letters", card(title="A" * 10**6), words="title"),
]
LISTINGS = [
    Case("a name that leaves its folder", named("../outside.json"), words="leaves its folder"),
    Case("a name from the root", named("/etc/cron.d/evil"), words="leaves its folder"),
    Case("a name that leaves by back slashes", named("..\\..\\evil"), words="leaves its folder"),
    Case("500 files", lambda f: f | {f"step-{i}/x.txt": b"" for i in range(500)}, words="files"),
    Case("ten gigabytes", put(), sizes=((WEIGHTS, 10**10),), words="10.0 GB"),
    Case("a README of 50 MB", put(), sizes=(("README.md", 50_000_000),), words="50 MB"),
    Case("weights in parts", named("model.safetensors.index.json", b"{}", without=(WEIGHTS,)),
         words="several parts"),
    Case("no config", put(config__json=None), words="no config.json"),
    Case("nothing at all", lambda _: {"a.txt": b""}, MISSING),
]  # fmt: skip
CASES = [*PICKLES, *CODE, *HEADERS, *NUMBERS, *CONFIGS, *CARDS, *LISTINGS]


def honest_files(folder: Path) -> Files:
    """The files of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
