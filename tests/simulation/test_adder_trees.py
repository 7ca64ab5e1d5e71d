"""Adder trees: what they count, how many adders they have, and how deep they are."""

import itertools

import numpy as np
import pytest

from adq.rtl.adder_trees import ARITHMETICS, AdderTree, ripple_carry, three_greedy
from adq.rtl.parameters import ParameterError, TileParameters

pytestmark = pytest.mark.testpoint("columns.count", "jobs.parameters")

SIZES = (*range(1, 40), 63, 64, 65, 100, 255, 256, 1000, 1024)
SEED = 5


def counted(tree: AdderTree, words: np.ndarray) -> np.ndarray:
    """What a tree counts, adder by adder, of words of bits (words, lanes)."""
    values = dict(enumerate(words.astype(int)))
    for adder in tree.adders:
        ones = sum(values[number] for number in adder.inputs)
        values[adder.total], values[adder.carry] = ones % 2, ones // 2
    return sum(values[number] << place for place, number in enumerate(tree.counts))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_tree_counts_all_words_of_a_few_rows(arithmetic):
    for size in range(1, 12):
        words = np.array(list(itertools.product((0, 1), repeat=size))).T
        assert (counted(ARITHMETICS[arithmetic](size), words) == words.sum(axis=0)).all()


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_tree_counts_random_words_of_many_rows(arithmetic):
    rng = np.random.default_rng(SEED)
    for size in SIZES:
        words = (rng.random((size, 300)) < rng.random(300)).astype(int)
        words[:, 0], words[:, 1] = 0, 1
        assert (counted(ARITHMETICS[arithmetic](size), words) == words.sum(axis=0)).all()


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("size", SIZES)
def test_no_word_is_read_twice_and_full_adders_are_as_few_as_can_be(arithmetic, size):
    tree = ARITHMETICS[arithmetic](size)
    read = [number for adder in tree.adders for number in adder.inputs] + list(tree.counts)
    assert len(read) == len(set(read))
    assert len({adder.name for adder in tree.adders}) == len(tree.adders)
    # A full adder takes one word away, and nothing else does.
    full = [adder for adder in tree.adders if len(adder.inputs) == 3]
    assert len(full) == size - size.bit_length()
    assert {len(adder.inputs) for adder in tree.adders} <= {2, 3}


def depth(tree: AdderTree) -> int:
    """Adders on the longest path."""
    depths = dict.fromkeys(range(tree.words), 0)
    for adder in tree.adders:
        depths[adder.total] = depths[adder.carry] = 1 + max(map(depths.get, adder.inputs))
    return max(map(depths.get, tree.counts))


def test_paths_of_a_small_tree_by_hand():
    # Seven words: two adders of three words and the seventh, then their carries.
    assert [adder.inputs for adder in three_greedy(7).adders] == [
        (0, 1, 2),
        (3, 4, 5),
        (6, 7, 9),
        (8, 10, 12),
    ]
    # Halves of words 2 and 3, and 5 and 6, with carry ins 1 and 4; the root's carry in is 0.
    assert [adder.inputs for adder in ripple_carry(7).adders] == [
        (3, 2, 1),
        (6, 5, 4),
        (9, 7, 0),
        (10, 8, 12),
    ]


def test_of_an_even_number_of_words_the_first_two_go_into_a_half_adder():
    inputs = [adder.inputs for adder in three_greedy(8).adders]
    assert inputs[:4] == [(0, 1), (2, 3, 4), (5, 6, 7), (8, 10, 12)]


@pytest.mark.parametrize("size", [8, 16, 64, 256, 1024])
def test_the_compressor_tree_is_less_deep(size):
    assert depth(three_greedy(size)) < depth(ripple_carry(size))
    # A binary tree: the last carry of each level waits for that of the level below.
    assert depth(ripple_carry(size)) == 2 * size.bit_length() - 3


def test_a_name_that_is_no_arithmetic():
    message = "arithmetic must be one of ripple_carry, three_greedy, not 'wallace'"
    with pytest.raises(ParameterError) as error:
        TileParameters(arithmetic="wallace")
    assert str(error.value) == message
    with pytest.raises(ParameterError, match=r"arithmetic must be one of .*, not 3"):
        TileParameters(arithmetic=3)
