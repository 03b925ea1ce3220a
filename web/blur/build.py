"""Makes model.bin and segmenter.wasm again, and says whether they are the same.

    python -m venv /tmp/blur
    /tmp/blur/bin/pip install tflite==2.18.0 numpy ziglang==0.17.1
    /tmp/blur/bin/python web/blur/build.py

The network is Google's "MediaPipe Selfie Segmentation (landscape)", Apache-2.0, as published in
the npm package named below, which is fetched and held against its hash. segmenter.c is ours.

model.bin: head and steps of segmenter.c as 32-bit integers, then all weights as 16-bit floats.
"""

# ruff: noqa: S603
# mypy: ignore-errors

import argparse
import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import numpy as np
import tflite

PACKAGE = (
    "https://registry.npmjs.org/@mediapipe/selfie_segmentation/-/"
    "selfie_segmentation-0.1.1675465747.tgz"
)
INTEGRITY = (
    "sha512-IxYxNhwE5VwOm52L1yoFWYLP7q9Pd+NJjzOC5tlepfvEGaY3o9hsl"
    "hUrx9BgseqdfZtKSDtd/4NfCSMjNzQalA=="
)
MODEL = "package/selfie_segmentation_landscape.tflite"

HERE = Path(__file__).parent
MAGIC = 0x31534B4B
KINDS = ("convolution", "pointwise", "depthwise", "mean", "scale", "add", "resize", "transposed")
ACTIVATIONS = {"RELU": 1, "HARD_SWISH": 2, "LOGISTIC": 3}
COMPILER = (
    *("--target=wasm32-freestanding", "-O3", "-msimd128", "-mbulk-memory", "-nostdlib"),
    *(
        "-Wl,--no-entry",
        "-Wl,--strip-all",
        "-Wl,-z,stack-size=16384",
        "-Wl,--initial-memory=131072",
    ),
)


def fetch(tarball: Path | None) -> bytes:
    """Give the published model; exits when the package is not the one that is meant."""
    packed = tarball.read_bytes() if tarball else urllib.request.urlopen(PACKAGE).read()
    digest = "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()
    if digest != INTEGRITY:
        sys.exit(f"the package is another one: {digest}")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return archive.extractfile(MODEL).read()


class Graph:
    """The model's steps, with activations as part of the step before them."""

    def __init__(self, model: bytes) -> None:
        self.model = tflite.Model.GetRootAsModel(model, 0)
        self.graph = self.model.Subgraphs(0)
        names = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
        self.constants: dict[int, np.ndarray] = {}
        self.steps: list[dict] = []
        maker: dict[int, dict] = {}
        for index in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(index)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            ins, outs = operator.InputsAsNumpy().tolist(), operator.OutputsAsNumpy().tolist()
            if name == "DEQUANTIZE":
                self.constants[outs[0]] = self.constant(ins[0])
            elif name in ACTIVATIONS and ins[0] in maker:
                step = maker.pop(ins[0])
                if step["activation"]:
                    raise ValueError("two activations, one after another")
                step |= {"activation": ACTIVATIONS[name], "out": outs[0]}
                maker[outs[0]] = step
            else:
                step = {"name": name, "ins": ins, "out": outs[0], "activation": 0}
                step["options"] = operator.BuiltinOptions()
                self.steps.append(step)
                maker[outs[0]] = step

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self.graph.Tensors(tensor).ShapeAsNumpy().tolist())

    def constant(self, tensor: int) -> np.ndarray:
        if tensor in self.constants:
            return self.constants[tensor]
        described = self.graph.Tensors(tensor)
        kind = np.float16 if described.Type() == tflite.TensorType.FLOAT16 else np.float32
        data = self.model.Buffers(described.Buffer()).DataAsNumpy()
        return np.frombuffer(data.tobytes(), kind).reshape(self.shape(tensor))


def padding(size: int, stride: int, before: int, after: int) -> int:
    """Rows before the first one where the padding is SAME."""
    return max((after - 1) * stride + size - before, 0) // 2


def places(steps: list[dict], graph: Graph, first: int) -> tuple[dict[int, int], int]:
    """Where each tensor is while it is needed, in floats, and how many there are in all."""
    last = {tensor: index for index, step in enumerate(steps) for tensor in step["reads"]}
    held: dict[int, tuple[int, int]] = {}
    found: dict[int, int] = {}
    most = 0
    for index in range(-1, len(steps)):
        tensor = first if index < 0 else steps[index]["out"]
        size = -(-int(np.prod(graph.shape(tensor))) // 4) * 4
        held = {t: span for t, span in held.items() if last.get(t, len(steps)) >= index}
        at = 0
        for start, end in sorted(held.values()):
            if start - at >= size:
                break
            at = max(at, end)
        held[tensor] = (at, at + size)
        found[tensor] = at
        most = max(most, at + size)
    return found, most


def convert(model: bytes) -> bytes:
    """Give what segmenter.c loads."""
    graph = Graph(model)
    weights: list[np.ndarray] = []

    def keep(values: np.ndarray) -> int:
        at = sum(part.size for part in weights)
        flat = values.astype(np.float16).reshape(-1)
        weights.append(np.concatenate([flat, np.zeros(-flat.size % 8, np.float16)]))
        return at

    for step in graph.steps:
        name, ins = step["name"], step["ins"]
        step["reads"] = ins[:2] if name in ("ADD", "MUL") else ins[:1]
        step |= {"size": 1, "stride": 1, "pad": (0, 0), "weights": 0, "bias": 0}
        before, after = graph.shape(ins[0]), graph.shape(step["out"])
        if name == "MEAN":
            step["kind"] = "mean"
        elif name == "ADD":
            step["kind"] = "add"
        elif name == "MUL":
            step["kind"] = "scale"
        elif name == "RESIZE_BILINEAR":
            options = tflite.ResizeBilinearOptions()
            options.Init(step["options"].Bytes, step["options"].Pos)
            if not options.HalfPixelCenters() or after[1] != 2 * before[1]:
                raise ValueError("another way to resize")
            step["kind"] = "resize"
        elif name == "CUSTOM":
            step |= {"kind": "transposed", "weights": keep(graph.constant(ins[1]))}
            step["bias"] = keep(graph.constant(ins[2]))
            if step["activation"] != ACTIVATIONS["LOGISTIC"]:
                raise ValueError("another end")
        else:
            depthwise = name == "DEPTHWISE_CONV_2D"
            options = tflite.DepthwiseConv2DOptions() if depthwise else tflite.Conv2DOptions()
            options.Init(step["options"].Bytes, step["options"].Pos)
            values = graph.constant(ins[1])
            size, stride = values.shape[1], options.StrideH()
            kind = "depthwise" if depthwise else "pointwise" if size == 1 else "convolution"
            step |= {"kind": kind, "size": size, "stride": stride, "bias": 0}
            step["pad"] = tuple(padding(size, stride, before[i], after[i]) for i in (1, 2))
            step["weights"] = keep(values if depthwise else values.transpose(1, 2, 3, 0))
            step["bias"] = keep(graph.constant(ins[2]))
        if step["kind"] != "transposed" and after[3] % 8:
            raise ValueError("channels that are not a multiple of 8")

    first, last = graph.graph.Inputs(0), graph.steps[-1]["out"]
    at, arena = places(graph.steps, graph, first)
    table = []
    for step in graph.steps:
        before, after = graph.shape(step["ins"][0]), graph.shape(step["out"])
        other = at[step["reads"][1]] if len(step["reads"]) > 1 else 0
        row = [KINDS.index(step["kind"]), step["activation"], at[step["ins"][0]], other]
        row += [at[step["out"]], *before[1:], *after[1:], step["size"], step["stride"]]
        table += [*row, *step["pad"], step["weights"], step["bias"]]
    values = np.concatenate(weights)
    head = [MAGIC, len(graph.steps), arena, values.size, at[first], at[last]]
    return np.array(head + table, "<i4").tobytes() + values.astype("<f2").tobytes()


def compile_segmenter() -> bytes:
    """Give the WebAssembly module of segmenter.c."""
    target = HERE / "segmenter.new"
    command = [sys.executable, "-m", "ziglang", "cc", *COMPILER, "-o", target, HERE / "segmenter.c"]
    subprocess.run(command, check=True)
    try:
        return target.read_bytes()
    finally:
        target.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tarball", type=Path, help="the package, where it is here already")
    tarball = parser.parse_args().tarball
    for name, made in (
        ("model.bin", convert(fetch(tarball))),
        ("segmenter.wasm", compile_segmenter()),
    ):
        path = HERE / name
        same = path.exists() and path.read_bytes() == made
        path.write_bytes(made)
        print(f"{name}: {len(made)} bytes, {'as it was' if same else 'CHANGED'}")


if __name__ == "__main__":
    main()
