"""A sweep over the toy pictures, and some of its rows."""

__all__ = ["SWEEP", "only"]

SWEEP = {"problems": ["image/toy"], "methods": ["dm"], "ipc": [1, 2], "distillations": 2, "seeds": 3, "steps": 2}


def only(rows, **wanted):
    return [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]
