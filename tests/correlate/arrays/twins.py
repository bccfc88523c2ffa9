"""What the functions of arrays/ mean: plain Python over lists, short and slow. test_twins.py holds them to it."""


def group_ids(keys):
    """(number of the group of each row, in order of first appearance; first row of each group)."""
    first = [row for row, key in enumerate(keys) if key not in keys[:row]]
    order = [keys[row] for row in first]
    return [order.index(key) for key in keys], first


def runs_of_ids(ids, count, rows=None):
    """The rows of each of `count` groups, in the order in which they are given."""
    rows = range(len(ids)) if rows is None else rows
    return [[row for row in rows if ids[row] == group] for group in range(count)]


def runs_of_keys(keys):
    """The rows of each key, in order of first appearance."""
    ids, first = group_ids(keys)
    return runs_of_ids(ids, len(first))


def sorted_by(runs, *columns):
    """Each run in the order of the columns, the last of which counts most; what is equal stays in its order."""
    return [sorted(run, key=lambda row: [column[row] for column in reversed(columns)]) for run in runs]


def only(runs, wanted):
    """Each run without the rows that are not wanted."""
    return [[row for row in run if wanted[row]] for run in runs]


def first_with(known, wanted):
    """Per wanted key: where it is known first, -1 when nowhere."""
    return [known.index(key) if key in known else -1 for key in wanted]


def distinct(values):
    """(the values, each once, ascending; which of them each row has)."""
    once = sorted(set(values))
    return once, [once.index(value) for value in values]


def distinct_pairs(pairs):
    """Pairs, each once, ascending."""
    return sorted(set(pairs))


def stable_order(keys):
    """Rows in the order of their keys; what is equal stays in its order."""
    return sorted(range(len(keys)), key=lambda row: keys[row])


def least_of_sets(count, pairs):
    """Per number, the least one that pairs connect it with."""
    least = list(range(count))
    for _ in range(count):
        for a, b in pairs:
            least[a] = least[b] = min(least[a], least[b])
    return least
