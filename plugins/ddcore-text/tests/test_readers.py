"""Texts are read from the forms they come in, and what cannot be used is said clearly."""

import json
import os
from pathlib import Path

import pytest
from ddcore_text import docstrings
from ddcore_text.corpus import corpus
from ddcore_text.docstrings import first_paragraph
from ddcore_text.problems import text_problem

import ddcore
from ddcore.errors import ArtifactError, DataError, OptionError

ROWS = [(f"{word} number {i} of a story", k) for i in range(20) for k, word in enumerate(("good", "bad"))]


@pytest.fixture
def write(tmp_path):
    def write_(name: str, lines: list[str], encoding: str = "utf-8") -> Path:
        (tmp_path / name).write_bytes(("\n".join(lines) + "\n").encode(encoding))
        return tmp_path / name

    return write_


def csv_lines(rows=ROWS, head="text,label"):
    return [head, *(f'"{text}",{label}' for text, label in rows)]


def load(data, **options):
    return ddcore.load("text/csv", data=data, width=4, **options)


# ---------------------------------------------------------------------------------------------------------------------
# what is read


def test_one_file_is_split_by_class(write):
    problem = load(write("all.csv", csv_lines()))
    assert problem.class_names == ("0", "1")
    sizes = {split: len(problem.data.ids(split=split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 32, "val": 4, "test": 4}
    assert problem.data.split is not None  # stored with artifacts


def test_the_forms_say_the_same(write, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS, columns=["text", "label"])
    frame.to_parquet(tmp_path / "b.parquet")
    frame.to_csv(tmp_path / "c.csv.xz", index=False)
    files = [
        write("a.csv", csv_lines()),
        tmp_path / "b.parquet",
        tmp_path / "c.csv.xz",
        write("d.jsonl", [json.dumps({"text": t, "label": k}) for t, k in ROWS]),
        write("e.tsv", ["text\tlabel", *(f"{t}\t{k}" for t, k in ROWS)]),
    ]
    assert len({load(file).fingerprint() for file in files}) == 1


def test_split_files_names_and_pairs(write, tmp_path):
    write("train.csv", csv_lines([(f'{t}","and then', n) for t, n in ROWS], "premise,hypothesis,label"))
    write("dev.csv", csv_lines([(f'{t}","and then', n) for t, n in ROWS[:4]], "premise,hypothesis,label"))
    (tmp_path / "classes.json").write_text('["kind", "unkind"]')
    problem = load(tmp_path)
    assert problem.class_names == ("kind", "unkind")
    assert problem.data.texts([0]) == [("good number 0 of a story", "and then")]
    assert len(problem.data.ids(split="test")) == 4  # the validation rows, for there are no others
    space = problem.data.space
    assert space.words[int(problem.data.x[0, 0])] == "[CLS]"
    assert "[SEP]" in [space.words[i] for i in problem.data.x[0]]


def test_a_split_column_and_class_names(write):
    lines = ["text,mood,part"]
    lines += [f"{t},{('happy', 'sad')[k]},{'train' if i < 30 else 'test'}" for i, (t, k) in enumerate(ROWS)]
    problem = load(write("all.csv", lines), label="mood", split="part")
    assert problem.class_names == ("happy", "sad")
    assert len(problem.data.ids(split="test")) == 10


def test_a_hugging_face_folder_reads_like_the_table(write, tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])})
    made = datasets.Dataset.from_dict({"text": [t for t, _ in ROWS], "label": [k for _, k in ROWS]}, features=features)
    datasets.DatasetDict({"train": made}).save_to_disk(tmp_path / "saved")
    problem = ddcore.load("text/hf", data=tmp_path / "saved", width=4)
    assert problem.class_names == ("a", "b")
    assert problem.data.corpus.texts == load(write("a.csv", csv_lines())).data.corpus.texts
    assert ddcore.load("text/imdb", data=tmp_path / "saved", width=4).class_names == (
        "a",
        "b",
    )  # as the folder names them
    with pytest.raises(DataError, match=r"text/trec has the classes ABBR, ENTY.*and .*saved names a, b"):
        ddcore.load("text/trec", data=tmp_path / "saved", width=4)


def test_the_column_of_classes_is_the_one_that_is_a_class_by_type(tmp_path):
    datasets = pytest.importorskip("datasets")
    number, mood = datasets.Value("int64"), datasets.ClassLabel(names=["glad", "sad"])
    columns = {"text": [t for t, _ in ROWS], "label": [k + 5 for _, k in ROWS], "intent": [1 - k for _, k in ROWS]}
    features = datasets.Features({"text": datasets.Value("string"), "label": number, "intent": mood})
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(tmp_path / "saved")
    problem = ddcore.load("text/hf", data=tmp_path / "saved", width=4)
    assert problem.class_names == ("glad", "sad")
    assert problem.data.y.tolist() == columns["intent"]
    asked = ddcore.load("text/hf", data=tmp_path / "saved", width=4, label="label")
    assert asked.class_names == ("5", "6")


STANDARDS = {  # the columns and the classes of the hub's cards
    "sst2": (["sentence"], "label", ["negative", "positive"]),
    "qqp": (["question1", "question2"], "label", ["not_duplicate", "duplicate"]),
    "mnli": (["premise", "hypothesis"], "label", ["entailment", "neutral", "contradiction"]),
    "qnli": (["question", "sentence"], "label", ["entailment", "not_entailment"]),
    "mrpc": (["sentence1", "sentence2"], "label", ["not_equivalent", "equivalent"]),
    "ag-news": (["text"], "label", ["World", "Sports", "Business", "Sci/Tech"]),
    "imdb": (["text"], "label", ["negative", "positive"]),
    "trec": (["text"], "coarse_label", ["ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"]),
}


@pytest.mark.parametrize("name", STANDARDS)
def test_a_standard_knows_its_columns_and_classes(write, tmp_path, name):
    columns, label, classes = STANDARDS[name]
    rows = [
        {**{c: f"this {c} is one of the {k}" for c in columns}, label: k, "idx": 0}
        for _ in range(4)
        for k in range(len(classes))
    ]
    write("train.jsonl", [json.dumps(row) for row in rows])
    problem = ddcore.load(f"text/{name}", data=tmp_path, width=4)
    assert problem.class_names == tuple(classes)
    for row, text, y in zip(rows, problem.data.texts(range(len(rows))), problem.data.y.tolist(), strict=True):
        assert (text if isinstance(text, tuple) else (text,)) == tuple(row[c] for c in columns)
        assert y == row[label]
    (tmp_path / "classes.json").write_text(json.dumps(classes[::-1]))
    assert ddcore.load(f"text/{name}", data=tmp_path, width=4).class_names == tuple(classes[::-1])


def test_test_rows_without_labels_are_left_out(write, tmp_path):
    lines = ["sentence\tlabel", *(f"{t}\t{k}" for t, k in ROWS)]
    write("train.tsv", lines)
    write("dev.tsv", lines[:9])
    write("test.tsv", ["index\tsentence", "0\ta story of nothing"])  # as GLUE has them
    problem = ddcore.load("text/sst2", data=tmp_path, width=4)
    assert len(problem.data.ids(split="test")) == 8
    marked = write("test.tsv", ["sentence\tlabel", "a story of nothing\t-1"])  # as the hub has them
    assert ddcore.load("text/sst2", data=tmp_path, width=4).fingerprint() == problem.fingerprint()
    marked.unlink()
    write("dev.tsv", ["index\tsentence", "0\ta story of nothing"])
    with pytest.raises(DataError, match="val table has no column 'label'"):
        ddcore.load("text/sst2", data=tmp_path, width=4)


def test_minus_one_is_a_class_where_it_stands_among_others(write, tmp_path):
    rows = [(f"{word} number {i} of a story", k) for i in range(10) for word, k in zip("abc", (-1, 0, 1), strict=True)]
    problem = load(write("train.csv", csv_lines(rows)))
    assert problem.class_names == ("-1", "0", "1")
    assert problem.data.y.tolist() == [k + 1 for _, k in rows]
    (tmp_path / "classes.json").write_text('["no", "yes"]')  # then 0 and 1 are the classes, and -1 is no answer
    assert load(tmp_path).data.y.tolist() == [k for _, k in rows if k >= 0]


def test_all_parts_of_a_split_are_read(write, tmp_path):
    pandas = pytest.importorskip("pandas")
    for part in range(2):
        frame = pandas.DataFrame(ROWS[20 * part : 20 * part + 20], columns=["text", "label"])
        frame.to_parquet(tmp_path / f"train-0000{part}-of-00002.parquet")
    assert list(load(tmp_path).data.corpus.texts) == [t for t, _ in ROWS]
    extra = write("train.csv", csv_lines())
    with pytest.raises(DataError, match=r"train\.csv in .*expected one file, or all parts"):
        load(tmp_path)
    extra.unlink()
    frame.rename(columns={"text": "words"}).to_parquet(tmp_path / "train-00001-of-00002.parquet")
    with pytest.raises(DataError, match=r"has the columns words, label, and train-00000-of-00002\.parquet text, label"):
        load(tmp_path)
    (tmp_path / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match="all parts of it"):
        load(tmp_path)


@pytest.mark.skipif("DDCORE_TEST_DATA" not in os.environ, reason="needs the data sets of DDCORE_TEST_DATA")
def test_standards_are_read():
    problem = ddcore.load("text/trec", data=Path(os.environ["DDCORE_TEST_DATA"]) / "text" / "trec6", space="sentence")
    assert len(problem.data.ids()) + len(problem.data.ids(split="val")) == 5452
    assert len(problem.data.ids(split="test")) == 500


def test_fewer_rows_are_a_stratified_draw(write):
    problem = load(write("all.csv", csv_lines()), rows=10)
    assert [len(problem.data.ids(g)) for g in problem.data.groups] == [5, 5]


def test_each_library_has_as_many_docstrings_and_none_names_it(tmp_path, monkeypatch):
    roots = {name: tmp_path / name.replace(" ", "_") for name in docstrings.LIBRARIES}
    for k, (name, root) in enumerate(roots.items()):
        root.mkdir()
        said = [f"Returns number {i} of all the {name} arrays in the {k} rows." for i in range(10 + k)]
        said += ["Returns what every one of these libraries has."]
        functions = [f"def f{i}():\n    {text!r}\n" for i, text in enumerate(said)]
        (root / "a.py").write_text("\n".join(functions))
    monkeypatch.setattr(docstrings, "_root", roots.__getitem__)
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    found = docstrings.docstring_corpus()
    assert [found.y.count(k) for k in range(5)] == [10] * 5
    assert not any("every one" in text for text in found.texts)
    assert not any(docstrings.NAMES.search(text) for text in found.texts)


def test_a_first_paragraph_is_words():
    assert first_paragraph("Returns a :class:`~torch.Tensor` with ``x`` rows kept.\n\nMore.") == (
        "Returns a it with x rows kept."
    )
    assert first_paragraph("Too short.") == ""


# ---------------------------------------------------------------------------------------------------------------------
# what is not


def test_empty_texts_are_named(write):
    with pytest.raises(DataError, match=r"1 texts of train are empty \(first: row 3\)"):
        load(write("all.csv", csv_lines([*ROWS[:3], ("  ", 1), *ROWS[4:]])))
    unlabelled = [("no class yet", "-")] * 3
    with pytest.raises(DataError, match=r"\(first: row 6\)"):
        load(write("all.csv", csv_lines([*unlabelled, *ROWS[:3], ("  ", 1), *ROWS[4:]])))
    halves = [json.dumps({"text": t, "pair": t if i else "", "label": k}) for i, (t, k) in enumerate(ROWS)]
    with pytest.raises(DataError, match=r"1 texts of train are empty \(first: row 0\)"):
        load(write("pairs.jsonl", halves))


def test_one_class_is_no_problem_to_learn(write):
    with pytest.raises(DataError, match="one class"):
        load(write("all.csv", csv_lines([(t, 1) for t, _ in ROWS])))


def test_labels_that_are_no_classes(write):
    with pytest.raises(DataError, match=r"row 0 of train is 0\.25"):
        load(write("all.csv", csv_lines([(t, 0.25 + k) for t, k in ROWS])))
    with pytest.raises(DataError, match="has no label"):
        load(write("all.jsonl", [json.dumps({"text": t, "label": k if i else None}) for i, (t, k) in enumerate(ROWS)]))
    with pytest.raises(DataError, match="numbers and some are names"):
        load(write("mixed.jsonl", [json.dumps({"text": t, "label": k or "no"}) for t, k in ROWS]))


def test_a_label_that_a_standard_does_not_know(write):
    with pytest.raises(DataError, match=r"label 7: expected 0 to 1, or one of negative, positive"):
        ddcore.load("text/sst2", data=write("train.csv", csv_lines([*ROWS, ("so so", 7)])))


def test_other_encodings_are_refused(write):
    lines = csv_lines([*ROWS, ("une idée très drôle", 0)])
    with pytest.raises(DataError, match=r"not in UTF-8: 1 of its lines \(first: line 42\).*iconv -f latin1"):
        load(write("all.csv", lines, "latin-1"))
    with pytest.raises(DataError, match=r"it is UTF-16; .*iconv -f utf-16"):
        load(write("wide.csv", lines, "utf-16"))
    mixed = write("mixed.csv", lines)
    mixed.write_bytes(mixed.read_bytes() + "déjà vu,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"1 of its lines are not \(first: line 43\) and 1 are; convert those alone"):
        load(mixed)


def test_a_mark_of_utf_8_is_no_text(write):
    lines = [json.dumps({"text": t, "label": k}) for t, k in ROWS]
    for name, content in (("all.jsonl", lines), ("all.csv", csv_lines())):
        assert set(load(write(name, content, "utf-8-sig")).data.texts(range(40))) == {t for t, _ in ROWS}


def test_one_column_is_not_text_and_class(write):
    with pytest.raises(OptionError, match="'text' is given as text and as class"):
        load(write("all.csv", csv_lines()), text="text", label="text")


def test_classes_that_are_true_and_false(write):
    problem = load(write("all.csv", csv_lines([(t, bool(k)) for t, k in ROWS])))
    assert problem.class_names == ("False", "True")


def test_a_data_set_of_the_hub_is_asked_for_by_name(monkeypatch):
    """The option is called as the first argument of `ddcore.load` is."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="nobody/nothing"):
        ddcore.load("text/hf", name="nobody/nothing")


def test_missing_columns_are_named_with_those_there_are(write):
    file = write("all.csv", csv_lines(head="words,label"))
    with pytest.raises(OptionError, match=r"which column of all\.csv holds the text\? It has words, label"):
        load(file)
    with pytest.raises(OptionError, match=r"no column 'word'\. Did you mean words"):
        load(file, text="word")
    with pytest.raises(OptionError, match=r"which column of b\.csv holds the class"):
        load(write("b.csv", csv_lines(head="text,number")))


def test_options_that_would_do_nothing_are_refused(write, tmp_path):
    write("train.csv", csv_lines([(f'{t}","and then', n) for t, n in ROWS], "premise,hypothesis,label"))
    with pytest.raises(OptionError, match=r"pair=hypothesis is the second text of a pair: name .* with text="):
        load(tmp_path, pair="hypothesis")
    with pytest.raises(OptionError, match=r"split=part: .* has a file for each split"):
        load(tmp_path, split="part")


@pytest.mark.parametrize("ending", ["xz", "gz", "bz2", "zip"])
def test_files_that_were_cut_short_are_named(tmp_path, ending):
    pandas = pytest.importorskip("pandas")
    file = tmp_path / f"all.csv.{ending}"
    pandas.DataFrame(ROWS, columns=["text", "label"]).to_csv(file, index=False)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"all\.csv\.\w+ cannot be read as \.csv"):
        load(file)


@pytest.mark.parametrize(("names", "said"), [("[", "cannot be read"), ('{"0": "a"}', "expected a list of class names")])
def test_class_names_that_are_none(write, tmp_path, names, said):
    write("train.csv", csv_lines())
    (tmp_path / "classes.json").write_text(names)
    with pytest.raises(DataError, match=said):
        load(tmp_path)


@pytest.mark.parametrize("texts", [["one", "two", "three", "four"], ["same", "same", "other", "four"]])
def test_texts_that_share_no_words_have_no_vectors(texts):
    few = corpus({split: (texts, [0, 1, 0, 1]) for split in ("train", "val", "test")}, ["a", "b"], source="here")
    with pytest.raises(DataError, match="share fewer than two words"):
        text_problem(few, space="sentence")


def test_a_folder_without_tables(tmp_path):
    with pytest.raises(DataError, match="holds no table of training texts"):
        load(tmp_path)


def test_a_class_without_training_texts():
    with pytest.raises(DataError, match="no training text of class b"):
        corpus({"train": (["x y"], [0]), "test": (["z"], [1])}, ["a", "b"], source="here")


def test_long_texts_are_cut_to_the_length(write):
    problem = load(write("all.csv", csv_lines([(f"{t} {'more ' * 500}", k) for t, k in ROWS])), length=9)
    assert problem.data.x.shape[1] == 9


def test_another_vocabulary_is_another_input_space(write, tmp_path):
    problem = load(write("all.csv", csv_lines()))
    ddcore.distill(problem, "dm", ipc=1, steps=1).save(tmp_path / "set")
    other = load(write("other.csv", csv_lines([(t.replace("story", "tale"), k) for t, k in ROWS])))
    with pytest.raises(ArtifactError, match="input space"):
        ddcore.open(tmp_path / "set").synthetic(other)
