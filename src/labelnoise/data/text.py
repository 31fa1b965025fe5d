"""Sentences as numbers: what the word CNN reads.

    tokens, labels = load("mr", "train")   # int64 [9596, 54], int64 [9596]

Words are numbered from 2; 0 is padding, 1 any word that the training sentences do not have. The
vocabulary is made of the training sentences alone, and all of its words occur in them, so that its
size is the largest token + 1. Sentences are padded, or cut, to the longest training sentence, or to
64 words, where that is longer (which it is of news, and not of `mr`).

`mr` has no published test split. The public code of L_DMI draws a tenth at random; here every tenth
sentence of each class is "test", the same in every run. The classes alternate, so that the first n
sentences hold both.
"""

import re
from collections.abc import Sequence

import numpy as np

from labelnoise import data
from labelnoise.data.formats import every, rank_in_class

DATASETS = tuple(name for name, info in data.INFO.items() if info.text)
PADDING, UNKNOWN = 0, 1
LONGEST = 64  # tokens; those of `mr` are at most 54


def load(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens int64 ``[N, L]`` and labels int64 ``[N]`` of ``split``, "train" or "test"."""
    if name not in DATASETS or split not in ("train", "test"):
        raise ValueError(
            f"name={name!r}, split={split!r}: the data sets of text are "
            f"{', '.join(DATASETS)}, their splits train and test"
        )
    sentences, labels = data.load(name, "train")
    if "test" in data.INFO[name].splits:
        train, asked = sentences, (sentences, labels)
        if split == "test":
            asked = data.load(name, "test")
    else:
        order = np.argsort(rank_in_class(labels), kind="stable")
        is_test = every(10, labels)[order]
        train = [sentences[i] for i in order[~is_test]]
        chosen = order[is_test == (split == "test")]
        asked = [sentences[i] for i in chosen], labels[chosen]
    separated = [words(sentence)[:LONGEST] for sentence in train]
    tokens = numbered(
        [words(sentence) for sentence in asked[0]],
        vocabulary(separated),
        length=max(map(len, separated)),
    )
    return tokens, asked[1]


def words(sentence: str) -> list[str]:
    """Words and punctuation as Kim (2014) separates them, in lower case: a word ends before 's, n't
    and their like, each of , ! ( ) ? stands alone, other signs count as spaces."""
    kept = re.sub(r"[^a-z0-9(),!?'`]", " ", sentence.lower())
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
