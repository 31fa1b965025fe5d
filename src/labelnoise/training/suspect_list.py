"""A user's list of suspects as a method: a cross-validation of a few samples, and what
scikit-learn's classifiers say of them, each fitted to the folds that a sample is not in.

``noise_rate`` and the flips are those of the whole training set. ``result`` has ``drawn``, how many
``samples`` there are and how many of them are ``wrong``, and ``lists``: of every judge (the
networks are one, a classifier is another) its ``detection``, and what ``noise.signs`` ``measured``.
Test accuracies are of at most 1000 test samples. In provenance, ``seconds_of`` has the seconds of
each judge.
"""

import time
import warnings
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from labelnoise.config import SuspectList
from labelnoise.noise import detection, signs
from labelnoise.seeds import generator, stream
from labelnoise.training.loop import summarise
from labelnoise.training.stages import Stages


def listed(stages: Stages) -> dict:
    """The lists of suspects of the networks and of scikit-learn's judges, from the same samples."""
    whole, run, asked = stages.task, stages.run, stages.run.method
    noise_rate = whole.noise_rate
    stages.task = task = whole.only(drawn(whole.true, asked, run.seed).to(stages.on.device))
    test = torch.randperm(len(task.test_labels), generator=generator(run.seed, "tests"))[:1000]
    test = test.to(stages.on.device)
    task.test_images, task.test_labels = task.test_images[test], task.test_labels[test]
    given, wrong = task.given.cpu().numpy(), (task.given != task.true).cpu().numpy()
    fold = stratified(given, asked.folds, run.seed)
    p = {}
    p["network"], curves = stages.out_of_sample(
        replace(run, method=None), asked.folds, torch.from_numpy(fold)
    )
    stages.seconds_of["network"] = round(stages.seconds, 2)
    rows = task.images.flatten(1).cpu().numpy()
    rows = rows / np.float32(255) if rows.dtype == np.uint8 else rows
    for name, judge in judges(run.seed).items():
        began = time.perf_counter()
        p[name] = judged(judge, rows, given, fold, task.num_classes)
        stages.seconds_of[name] = round(time.perf_counter() - began, 2)
    return {
        "result": {
            **summarise(curves, noise_rate, None),
            "drawn": {"samples": len(given), "wrong": int(wrong.sum())},
            "lists": {
                name: {
                    "detection": detection.detection(given, each, wrong),
                    "measured": signs.measured(given, each),
                }
                for name, each in p.items()
            },
        },
        "curves": curves,
    }


def drawn(true: Tensor, asked: SuspectList, seed: int) -> Tensor:
    """The samples that a suspect list is made of, ``[n]``, rising: as many of each class, the
    remainder from the first classes. ``ValueError`` where a class has too few."""
    true, K = true.cpu(), int(true.max()) + 1
    sizes = [asked.size // K + (k < asked.size % K) for k in range(K)]
    if asked.rare is not None:
        sizes[asked.rare] = max(asked.folds, asked.size // 100)
    order = torch.randperm(len(true), generator=generator(seed, "suspect list"))
    found = [order[true[order] == k][:n] for k, n in enumerate(sizes)]
    if short := [k for k, n in enumerate(sizes) if len(found[k]) < n]:
        raise ValueError(f"size={asked.size} asks for more samples of the classes {short} than "
                         "there are; lower size")  # fmt: skip
    return torch.cat(found).sort().values


def stratified(given: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of each sample, int64 ``[N]``: of every class as many in each, by one."""
    order = torch.randperm(len(given), generator=generator(seed, "folds")).numpy()
    order = order[np.argsort(given[order], kind="stable")]
    fold = np.empty(len(given), dtype=np.int64)
    fold[order] = np.arange(len(given)) % folds
    return fold


def judges(seed: int) -> dict:
    """scikit-learn's judges by name; imported only where they are asked for."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    draws = stream(seed, "random forest") % 2**32
    return {
        "random forest": RandomForestClassifier(random_state=draws),
        "logistic regression": LogisticRegression(max_iter=200),
    }


def judged(judge: object, rows: np.ndarray, given: np.ndarray, fold: np.ndarray, K: int
           ) -> np.ndarray:  # fmt: skip
    """What a classifier of scikit-learn says of each sample, fitted to the other folds: ``[N, K]``,
    on one thread."""
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    p = np.zeros((len(rows), K))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for k in np.unique(fold):
            seen, unseen = fold != k, np.flatnonzero(fold == k)
            made = clone(judge).fit(rows[seen], given[seen])
            p[np.ix_(unseen, made.classes_)] = made.predict_proba(rows[unseen])
    return p
