"""Images per second of inference under ONNX Runtime or OpenVINO, on synthetic data.

    pip install torch torchvision timm safetensors onnx onnxruntime openvino
    python benches/peers/infer_speed.py --runtime openvino --model resnet18 --batch-size 32 --threads 2

The PyTorch network, in eval mode with random weights, is exported to ONNX for one batch size, and each
runtime optimises it as it likes, in f32 or, with --bf16, under OpenVINO in bf16. The batch is the same
again and again. --warmup runs are not counted. Prints one JSON line; the rate is that of the median run, load_ms the time to make the network ready,
first_ms that of the first answer, and peak_mb the process's peak resident size, PyTorch's included.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time

import numpy
import torch

import models


def onnx_runtime(path, threads, bf16):
    import onnxruntime

    assert not bf16, "ONNX Runtime has no bf16 on a CPU"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"images": x})[0], onnxruntime.__version__


def openvino(path, threads, bf16):
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()
    return lambda x: request.infer([x])[0], openvino.__version__


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runtime", required=True, choices=["onnxruntime", "openvino"])
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    size = args.image_size or models.preprocess(args.model).crop
    model = models.create(args.model).eval()
    x = torch.randn(args.batch_size, 3, size, size)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        torch.onnx.export(model, (x,), path, input_names=["images"], dynamo=False)
        prepare = onnx_runtime if args.runtime == "onnxruntime" else openvino
        start = time.perf_counter()
        run, version = prepare(path, args.threads, args.bf16)
        loaded = time.perf_counter()
    x = x.numpy()
    logits = run(x)
    first = time.perf_counter()
    with torch.inference_mode():
        expected = model(torch.from_numpy(x)).numpy()
    off = 0.2 if args.bf16 else 1e-3
    numpy.testing.assert_allclose(logits, expected, rtol=off, atol=off * abs(expected).max())
    seconds = []
    for index in range(args.warmup + args.steps):
        begin = time.perf_counter()
        run(x)
        if index >= args.warmup:
            seconds.append(time.perf_counter() - begin)
    print(json.dumps({
        "runtime": args.runtime,
        "version": version,
        "model": args.model,
        "image_size": size,
        "batch_size": args.batch_size,
        "threads": args.threads,
        "infer_images_per_s": round(args.batch_size / statistics.median(seconds), 2),
        "load_ms": round(1e3 * (loaded - start), 1),
        "first_ms": round(1e3 * (first - loaded), 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))


if __name__ == "__main__":
    main()
