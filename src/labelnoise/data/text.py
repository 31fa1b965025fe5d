"""Sentences as numbers: what the word CNN reads.

    tokens, labels = load("mr", "train")   # int64 [9596, 54], int64 [9596]

Words are numbered from 2; 0 is padding, 1 any word that the training sentences do not have. The
vocabulary is made of the training sentences alone, and all of its words occur in them, so that its
size is the largest token + 1. Sentences are padded, or cut, to the longest training sentence.

`mr` has no published test split. The public code of L_DMI draws a tenth at random; here every tenth
sentence of each class is "test", the same in every run. The classes alternate, so that the first n
sentences hold both.
"""

import re
from collections.abc import Sequence

import numpy as np

from labelnoise import data

DATASETS = tuple(name for name, info in data.INFO.items() if info.text)
PADDING, UNKNOWN = 0, 1


def load(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens int64 ``[N, L]`` and labels int64 ``[N]`` of ``split``, "train" or "test"."""
    if name not in DATASETS or split not in ("train", "test"):
        raise ValueError(
            f"name={name!r}, split={split!r}: the data sets of text are "
            f"{', '.join(DATASETS)}, their splits train and test"
        )
    sentences, labels = data.load(name, "train")
    rank_in_class = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        rank_in_class[labels == label] = np.arange((labels == label).sum())
    order = np.argsort(rank_in_class, kind="stable")
    is_test = rank_in_class[order] % 10 == 9
    train, test = ([words(sentences[i]) for i in order[which]] for which in (~is_test, is_test))
    tokens = numbered(
        train if split == "train" else test, vocabulary(train), length=max(map(len, train))
    )
    return tokens, labels[order[is_test == (split == "test")]]


def words(sentence: str) -> list[str]:
    """Words and punctuation as Kim (2014) separates them: a word ends before 's, n't and their
    like, each of , ! ( ) ? stands alone, other signs count as spaces. `mr` is in lower case."""
    kept = re.sub(r"[^A-Za-z0-9(),!?'`]", " ", sentence)
    return re.sub(r"([,!()?])", r" \1 ", re.sub(r"('s|'ve|n't|'re|'d|'ll)", r" \1", kept)).split()


def vocabulary(sentences: Sequence[Sequence[str]]) -> dict[str, int]:
    """Word -> number, from 2 on in alphabetical order."""
    return {word: 2 + i for i, word in enumerate(sorted({w for s in sentences for w in s}))}


def numbered(
    sentences: Sequence[Sequence[str]], numbers: dict[str, int], length: int
) -> np.ndarray:
    """``[N, length]`` int64: the numbers of the words, cut or padded at the end."""
    tokens = np.full((len(sentences), length), PADDING, dtype=np.int64)
    for row, sentence in zip(tokens, sentences, strict=True):
        known = [numbers.get(word, UNKNOWN) for word in sentence[:length]]
        row[: len(known)] = known
    return tokens
