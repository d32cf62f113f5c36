"""Makes metrics.json of ocelli-metrics: the figures of scikit-learn on random and degenerate cases.

    pip install numpy scikit-learn
    python tests/golden/metrics.py    # rewrites crates/ocelli-metrics/tests/golden/metrics.json

Logits are multiples of 1/64 without equal values in a row, because scikit-learn ranks equal scores the
other way round. Macro, micro and weighted averages are over the labels that occur, its default.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn import metrics

OUT = pathlib.Path(__file__).parents[2] / "crates/ocelli-metrics/tests/golden/metrics.json"
RNG = np.random.default_rng(5)


def logits_for(predicted, classes):
    """Rows without equal values whose largest is that of `predicted`."""
    rows = np.stack([RNG.permutation(4 * classes)[:classes] for _ in predicted]) * 5 / 64
    top = rows.argmax(1)
    index = np.arange(len(rows))
    rows[index, top], rows[index, predicted] = rows[index, predicted], rows[index, top].copy()
    return rows


def case(name, classes, truth, predicted, scale=1.0):
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    logits = logits_for(predicted, classes) * scale
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = (shifted / shifted.sum(1, keepdims=True)).astype(np.float32)
    labels = np.arange(classes)

    def scores(average, over=None):
        values = metrics.precision_recall_fscore_support(
            truth, predicted, labels=over, average=average, zero_division=0)
        return [v.tolist() for v in values] if average is None else [float(v) for v in values[:3]]

    k = min(5, classes)
    top5, log_loss = 1.0, None
    if classes > 1:
        log_loss = float(metrics.log_loss(truth, probabilities, labels=labels))
    if k < classes:
        top5 = float(metrics.top_k_accuracy_score(truth, logits, k=k, labels=labels))
    return {
        "name": name, "classes": classes, "truth": truth.tolist(), "logits": logits.flatten().tolist(),
        "confusion": metrics.confusion_matrix(truth, predicted, labels=labels).flatten().tolist(),
        "top1": float(metrics.accuracy_score(truth, predicted)), "top5": top5, "log_loss": log_loss,
        "per_class": scores(None, labels), "macro": scores("macro"), "micro": scores("micro"),
        "weighted": scores("weighted"),
    }


def main():
    def random(classes, rows, among=None):
        return RNG.choice(classes if among is None else among, rows)

    cases = [
        case("random", 7, random(7, 120), random(7, 120)),
        case("binary", 2, random(2, 40), random(2, 40)),
        case("unbalanced", 3, random(3, 60, [0, 0, 0, 0, 1, 2]), random(3, 60, [0, 0, 1])),
        case("a class never predicted", 4, random(4, 30), random(4, 30, [0, 1, 3])),
        case("a class never true", 4, random(4, 30, [0, 2, 3]), random(4, 30)),
        case("a class in neither", 6, random(6, 30, [0, 1, 3, 5]), random(6, 30, [0, 1, 2, 5])),
        case("no class in common", 4, random(4, 10, [0, 1]), random(4, 10, [2, 3])),
        case("one true class, all right", 3, [1] * 5, [1] * 5),
        case("one true class, all wrong", 3, [1] * 5, [2] * 5),
        case("one class only", 1, [0] * 4, [0] * 4),
        case("one sample, right", 3, [2], [2]),
        case("one sample, wrong", 8, [2], [5]),
        case("perfect", 5, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        case("certain and often wrong", 6, random(6, 25), random(6, 25), scale=64.0),
    ]
    body = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    made = f"tests/golden/metrics.py, scikit-learn {sklearn.__version__}"
    OUT.write_text(f'{{"made_by": "{made}", "cases": [\n{body}\n]}}\n')


if __name__ == "__main__":
    main()
