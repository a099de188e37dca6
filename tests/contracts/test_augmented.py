from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core.tlb.block import DepthBalanceInfo  # noqa: TID251 - an oracle

from contracts._proof_cells import ProofSlice, read_label
from contracts.augmented import ACCOUNTS, OLD_BLOCKS, Tree, write_label
from contracts.cells import Builder, Cell
from contracts.tlb import NO_ACCOUNT

KEYS = st.one_of(
    st.integers(0, 2**256 - 1), st.integers(0, 15), st.integers(2**256 - 16, 2**256 - 1)
)


def leaf_of(value: int) -> Cell:
    return Builder().uint(value, 32).end()


def built(values: dict[int, int]) -> Tree:
    tree = Tree(ACCOUNTS)
    for key, value in values.items():
        tree = tree.put(key, leaf_of(value), value)
    return tree


@given(st.dictionaries(KEYS, st.integers(0, 2**30), min_size=1, max_size=12))
def test_the_library_reads_every_value_and_every_sum(values: dict[int, int]) -> None:
    root = built(values).write(Builder()).end()
    reader = root.inner.begin_parse()
    found, sums = reader.load_hashmap_aug_e(
        256, lambda rest: rest.load_uint(32), DepthBalanceInfo.deserialize
    )
    assert found == values
    assert sum(values.values()) in [each.balance.grams for each in sums]


@given(st.dictionaries(KEYS, st.integers(0, 2**30), max_size=8), st.data())
def test_the_order_of_changes_leaves_no_trace(values: dict[int, int], data) -> None:
    order = data.draw(st.permutations(list(values)))
    extra = data.draw(st.lists(KEYS, max_size=4))
    tree = built(dict.fromkeys(extra, 1) | {key: values[key] for key in order})
    for key in extra:
        if key not in values:
            tree = tree.drop(key)
    for key, value in values.items():
        tree = tree.put(key, leaf_of(value), value)
    assert tree.write(Builder()).end() == built(values).write(Builder()).end()
    assert tree.told == sum(values.values())


@given(st.dictionaries(KEYS, st.integers(0, 2**30), max_size=8), KEYS)
def test_finding_and_dropping_agree(values: dict[int, int], key: int) -> None:
    tree = built(values)
    found = tree.find(key)
    assert (found is None) == (key not in values)
    assert tree.drop(key).find(key) is None
    assert tree.drop(key).told == tree.told - values.get(key, 0)
    assert all(tree.drop(key).find(each) is not None for each in values if each != key)


@given(st.integers(0, 40), st.data())
def test_labels_are_the_shortest_and_read_back(bits: int, data) -> None:
    size = data.draw(st.integers(0, bits))
    label = data.draw(st.sampled_from([0, (1 << size) - 1]) | st.integers(0, (1 << size) - 1))
    written = write_label(label, size, bits).end()
    forms = [2 + 2 * size, 2 + bits.bit_length() + size]
    if size and label in (0, (1 << size) - 1):
        forms.append(3 + bits.bit_length())
    assert written.size_bits == min(forms)
    assert read_label(ProofSlice(written.inner), bits) == (size, label)


def test_the_newest_time_and_any_key_block_are_told() -> None:
    tree = Tree(OLD_BLOCKS)
    for seqno, key, lt in ((0, 1, 0), (1, 0, 900), (2, 0, 500)):
        tree = tree.put(seqno, leaf_of(seqno), key << 64 | lt)
    assert tree.told == 1 << 64 | 900
    assert tree.drop(0).told == 900
    assert tree.drop(0).drop(1).told == 500


def test_an_empty_dictionary_is_one_bit_and_what_it_tells() -> None:
    assert Tree(ACCOUNTS).write(Builder()).end() == Builder().uint(0, 1 + 5 + 4 + 1).end()
    assert Tree(ACCOUNTS).path(5) == []
    assert Tree(ACCOUNTS).put(5, NO_ACCOUNT, 0).drop(5).root is None
