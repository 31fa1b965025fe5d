"""Sentences become numbers by the training sentences alone."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelnoise import data
from labelnoise.data import text

SENTENCES = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=9), min_size=1, max_size=8)


def load_made_up(monkeypatch, sentences: list[str], labels: list[int]) -> None:
    made_up = (sentences, np.array(labels, dtype=np.int64))
    monkeypatch.setattr(text.data, "load", lambda name, split: made_up)


def test_words_are_separated_as_in_kims_code():
    separated = " ".join(text.words("it's so laddish , they don't (really) know !"))
    assert separated == "it 's so laddish , they do n't ( really ) know !"
    assert " ".join(text.words("we've they're i'd you'll")) == "we 've they 're i 'd you 'll"
    assert text.words('a "b" -- c; d: e... f/g [h]') == list("abcdefgh")
    assert text.words("  ") == []


def kim(sentence: str) -> list[str]:
    """One substitution after another, as public code has it."""
    sentence = re.sub(r"[^A-Za-z0-9(),!?'`]", " ", sentence).lower()
    for clitic in ("'s", "'ve", "n't", "'re", "'d", "'ll"):
        sentence = sentence.replace(clitic, " " + clitic)
    for sign in ",!()?":
        sentence = sentence.replace(sign, f" {sign} ")
    return sentence.split()


@given(st.text(alphabet="abdelnrstvNSÀ'!?(), -`é", max_size=40))
def test_words_are_those_of_the_slow_way(sentence):
    assert text.words(sentence) == kim(sentence)


@settings(max_examples=50)
@given(SENTENCES)
def test_numbers_can_be_turned_back_into_the_words(sentences):
    numbers = text.vocabulary(sentences)
    length = max(map(len, sentences))
    tokens = text.numbered(sentences, numbers, length)
    assert tokens.shape == (len(sentences), length)
    assert tokens.dtype == np.int64
    names = {number: word for word, number in numbers.items()}
    for row, sentence in zip(tokens, sentences, strict=True):
        assert [names[i] for i in row if i != text.PADDING] == sentence
        assert (row[len(sentence) :] == text.PADDING).all(), "padded at the end"
    assert sorted(numbers.values()) == list(range(2, 2 + len(numbers)))
    assert list(numbers) == sorted(numbers)


def test_unknown_words_are_marked_and_long_sentences_cut():
    numbers = text.vocabulary([["b", "a"]])
    assert numbers == {"a": 2, "b": 3}
    assert text.numbered([["b", "x", "a", "a"], ["a"], []], numbers, 3).tolist() == [
        [3, text.UNKNOWN, 2],
        [2, text.PADDING, text.PADDING],
        [0, 0, 0],
    ]


def test_every_tenth_sentence_of_a_class_is_test_and_the_classes_alternate(monkeypatch):
    sentences = [f"n{i}" for i in range(20)] + [f"p{i}" for i in range(20)]
    load_made_up(monkeypatch, sentences, [0] * 20 + [1] * 20)
    train, labels = text.load("mr", "train")
    test, test_labels = text.load("mr", "test")
    assert labels.tolist() == [0, 1] * 18
    assert test_labels.tolist() == [0, 1] * 2
    assert (test == text.UNKNOWN).all(), "their words are in no training sentence"
    numbers = text.vocabulary([[s] for i, s in enumerate(sentences) if i % 10 != 9])
    kept = [s for pair in zip(sentences[:20], sentences[20:], strict=True) for s in pair
            if int(s[1:]) % 10 != 9]  # fmt: skip
    assert train[:, 0].tolist() == [numbers[s] for s in kept]


def test_a_word_of_the_test_sentences_alone_is_unknown(monkeypatch):
    sentences = ["good film"] * 9 + ["good surprise and very long"] + ["bad film"] * 10
    load_made_up(monkeypatch, sentences, [1] * 10 + [0] * 10)
    train, _ = text.load("mr", "train")
    test, labels = text.load("mr", "test")
    assert train.max() + 1 == 2 + len({"bad", "film", "good"})
    assert train.shape[1] == test.shape[1] == 2, "cut to the longest training sentence"
    assert test[labels == 1].tolist() == [[4, text.UNKNOWN]]


@pytest.mark.parametrize(("name", "split"), [("mnist", "train"), ("mr", "val")])
def test_what_is_no_text_is_refused_by_name(name, split):
    with pytest.raises(
        ValueError, match=rf"name='{name}', split='{split}': .* mr, .* train and te"
    ):
        text.load(name, split)


def test_news_have_tests_of_their_own_and_at_most_64_words(monkeypatch):
    long = " ".join(f"w{i}" for i in range(70))
    made_up = {
        "train": (["Good news", long], np.array([0, 1])),
        "test": (["Bad news"], np.array([2])),
    }
    monkeypatch.setattr(text.data, "load", lambda name, split: made_up[split])
    train, labels = text.load("noisyag", "train")
    test, test_labels = text.load("noisyag", "test")
    assert (labels.tolist(), test_labels.tolist()) == ([0, 1], [2])
    assert (train.shape, test.shape) == ((2, 64), (1, 64))
    assert train.max() == 1 + 2 + 64, "every number is a word that stands before the cut"
    assert test[0, :3].tolist() == [text.UNKNOWN, train[0, 1], text.PADDING]


def test_noisyag_becomes_tokens():
    try:
        true = data.read("noisyag")[1]
    except data.NotThere as missing:
        pytest.skip(f"noisyag: no {missing} on this machine")
    train, labels = text.load("noisyag", "train")
    test, _ = text.load("noisyag", "test")
    assert (train.shape, test.shape) == ((10000, 64), (7600, 64))
    assert train.max() + 1 == 24_085, "the vocabulary"
    assert np.array_equal(labels, true), "in the order of the annotations"
    assert 0.03 < (test == text.UNKNOWN).sum() / (test != text.PADDING).sum() < 0.05


def test_mr_becomes_tokens():
    try:  # never downloaded by a test
        sentences, labels = data.read("mr")
    except data.NotThere as missing:
        pytest.skip(f"mr: no {missing} on this machine")
    train, train_labels = text.load("mr", "train")
    test, test_labels = text.load("mr", "test")
    assert train.shape == (9596, 54)
    assert test.shape == (1066, 54)
    assert train.max() + 1 == 17_848, "the vocabulary"
    assert np.bincount(train_labels).tolist() == [4798, 4798]
    assert np.bincount(test_labels).tolist() == [533, 533]
    assert 0.04 < (test == text.UNKNOWN).sum() / (test != text.PADDING).sum() < 0.05
    assert not (train == text.UNKNOWN).any()
    assert len(sentences) == len(labels) == len(train) + len(test)
    first = text.words(sentences[0])
    assert (train[0] != text.PADDING).sum() == len(first)
    assert all(text.words(s) == kim(s) for s in sentences[::20])
