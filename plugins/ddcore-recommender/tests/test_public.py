"""The published files of the public sets: a few lines of each, in the authors' format."""

from __future__ import annotations

import numpy as np
import pytest

import ddcore
from ddcore.errors import DataError

USERS, ITEMS = ("1", "22", "AE2"), ("0114508", "7", "B07J3GH1W1", "51", "242")
RATED = np.array([[5, 3, 1, 2, 4], [1, 2, 3, 4, 5], [5, 5, 5, 1, 2]])  # (users, items)
WHEN = 881_250_949 + 1_000 * np.array([[4, 0, 1, 2, 3], [0, 1, 2, 3, 4], [3, 2, 4, 1, 0]])
FORMATS = {  # name -> (file, header, what stands between columns, what a second counts)
    "ml-100k": ("u.data", "", "\t", 1),
    "ml-1m": ("ratings.dat", "", "::", 1),
    "movietweetings": ("ratings.dat", "", "::", 1),
    "lastfm": ("user_artists.dat", "userID\tartistID\tweight", "\t", None),
    "amazon-beauty": ("All_Beauty.csv", "user_id,parent_asin,rating,timestamp", ",", 1_000),
    "amazon-books": ("Books.csv", "user_id,parent_asin,rating,timestamp", ",", 1_000),
    "amazon-magazine": ("Magazine_Subscriptions.csv", "user_id,parent_asin,rating,timestamp", ",", 1_000),
    "amazon-toys": ("Toys_and_Games.csv", "user_id,parent_asin,rating,timestamp", ",", 1_000),
    "amazon-video-games": ("Video_Games.csv", "user_id,parent_asin,rating,timestamp", ",", 1_000),
}


def publish(name, folder):
    """The file, with lines in no order. Its path."""
    file, header, between, second = FORMATS[name]
    lines = [
        between.join([u, i, str(RATED[a, b]), *([str(WHEN[a, b] * second)] if second else [])])
        for a, u in enumerate(USERS)
        for b, i in enumerate(ITEMS)
    ]
    folder.mkdir(exist_ok=True)
    (folder / file).write_text("\n".join([*([header] if header else []), *lines[::-1]]) + "\n")
    return folder / file


def chosen(problem, rows):
    """(users, items) by their ids."""
    data = problem.data
    found = np.zeros((len(USERS), len(ITEMS)), bool)
    for a, b in zip(*rows.nonzero(), strict=True):
        found[USERS.index(data.users[a]), ITEMS.index(data.items[b])] = True
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_users_items_weights_and_times_are_read(name, tmp_path):
    publish(name, tmp_path)
    how = "random" if FORMATS[name][3] is None else "leave-one-out"
    problem = ddcore.load(f"recommender/{name}", tmp_path, threshold=2.0, per_user=1, split=how)
    data = problem.data
    n = len(data.users)
    train, val, test = (
        chosen(problem, data.train),
        *(chosen(problem, data.held_out[k * n : (k + 1) * n]) for k in (1, 2)),
    )
    assert np.array_equal(train | val | test, RATED >= 2)
    if how == "leave-one-out":
        order = np.argsort(np.where(RATED >= 2, WHEN, 0), axis=1)
        assert test.nonzero()[1].tolist() == order[:, -1].tolist()
        assert val.nonzero()[1].tolist() == order[:, -2].tolist()


def test_a_set_without_times_cannot_be_split_by_time(tmp_path):
    publish("lastfm", tmp_path)
    with pytest.raises(DataError, match="no time column"):
        ddcore.load("recommender/lastfm", tmp_path, split="leave-one-out")


def test_the_file_may_be_named_or_lie_one_folder_further_in(tmp_path):
    file = publish("ml-100k", tmp_path / "ml-100k")
    assert len({ddcore.load("recommender/ml-100k", path).fingerprint() for path in (file, file.parent, tmp_path)}) == 1
