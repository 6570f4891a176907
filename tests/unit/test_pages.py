"""Pages: whole, safe, and right in a real browser."""

import html
import json
import random
import re
import shutil
import subprocess
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import toys

from ddcore.artifact import Artifact
from ddcore.evaluation import evaluate
from ddcore.pages import comparison_page, run_page
from ddcore.pages.charts import Point, curve, dots, panels
from ddcore.pages.matrix import matrix
from ddcore.recipes import Recipe

pytest.importorskip("jinja2", reason="pages need ddcore[report]")
pytest.importorskip("matplotlib", reason="pages need ddcore[report]")

NASTY = '<script>alert("x")</script>'


def artifact(tmp_path, picture=("set.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>"), name="dm", scored=True):
    def render(synthetic, folder):
        (folder / picture[0]).write_text(picture[1])
        return folder / picture[0]

    problem = toys.image(render=render, recipe=Recipe("short@1", epochs=2))
    s = problem.synthetic(toys.COUNTS["image"], None, random.Random(0))
    method = {"name": name, "preset": "quick", "options": {"lr": 1.0}, "paper": f"Zhao and Bilen {NASTY}"}
    history = [{"loss": 3.0 / (i + 1)} for i in range(40)]
    made = Artifact.of(problem, s, method=method, budget={"ipc": 2}, seed=0, history=history)
    if scored:
        report = evaluate(made, problem, models=["convnet", "mlp"], seeds=2, fair=True)
        made = replace(
            made, notes={"scores.json": json.dumps(report.to_json()), "cost.json": '{"seconds": 75, "device": "cpu"}'}
        )
    return made


def row(method, values, **more):
    mean = sum(values) / len(values)
    rest = {
        "problem": "image/toy",
        "ipc": 1,
        "model": "convnet",
        "metric": "accuracy",
        "higher_is_better": True,
        "seeds": 2,
    }
    cost = {
        "protocol": "toy@1",
        "epoch_rule": "last",
        "label_kind": "ids",
        "bytes": 2600,
        "distillations": 1,
        "stderr": 0.01,
        "interval": [mean - 0.02, mean + 0.02],
        "seconds": 3.0,
    }
    return {**rest, **cost, "method": method, "mean": mean, "values": values, "best": method == "dm", **more}


ROWS = [
    row("dm", [0.9, 0.91, 0.9]),
    row("worse", [0.1, 0.11, 0.12]),
    row("even", [0.5, 0.9, 0.1]),
    row("random", [0.5, 0.51, 0.5]),
    {"problem": "image/toy", "method": "kip", "ipc": 1, "error": f"refused: {NASTY}"},
]


@pytest.fixture
def page(tmp_path):
    return run_page([artifact(tmp_path)])


def test_a_page_says_what_there_is_to_know(page):
    for word in (
        "dm on image/toy",
        "short@1",
        "random real rows",
        "augmentation-robust",
        "75.0 s",
        "load_file",
        "lr 1.0",
        "mlp",
    ):
        assert word in page
    assert page.count("<svg") >= 1
    assert "data:image/svg+xml;base64," in page


def test_a_page_asks_nothing_of_the_network_and_runs_nothing_of_the_data(page):
    for text in (page, comparison_page(ROWS, "toy sweep")):
        assert not re.search(r'(src|href)="(?!data:|#)', text)
        assert "url(http" not in text
        assert NASTY not in text


def test_the_same_artifacts_give_the_same_page(tmp_path, page):
    assert run_page([artifact(tmp_path)]) == page


@pytest.mark.parametrize(
    ("picture", "shown"),
    [
        (("cards.html", "<p>a card</p>"), "<iframe"),
        (("cards.txt", "a <card>"), "a &lt;card&gt;"),
        (("gallery.png", "bytes"), "data:image/png;base64,"),
    ],
)
def test_a_sets_own_picture_is_in_the_page(tmp_path, picture, shown):
    assert shown in run_page([artifact(tmp_path, picture, scored=False)])


def test_what_a_sets_page_plays_is_in_the_page(tmp_path):
    made = artifact(tmp_path, ("players.html", '<audio src="a.wav"></audio><audio src="b.wav"></audio>'), scored=False)
    text = html.unescape(run_page([replace(made, files={**made.files, "a.wav": b"RIFF"})]))
    assert re.search(r'src="data:audio/[\w-]+;base64,UklGRg=="', text)
    assert 'src="b.wav"' in text, "what is no file of the set stays what it says"


def test_a_set_without_scores_says_how_to_get_them(tmp_path):
    assert "ddcore evaluate" in run_page([artifact(tmp_path, scored=False)])


def test_several_sets_stand_in_one_table(tmp_path):
    text = run_page([artifact(tmp_path), artifact(tmp_path, name="dc", scored=False)])
    assert "2 runs" in text
    assert text.count('<section class="run">') == 2


def test_a_comparison_shows_what_lost_and_what_was_refused():
    text = comparison_page(ROWS, "toy sweep")
    lines = re.findall(r"<tr><td>(\w+)</td>(.*?)</tr>", text, re.DOTALL)
    verdicts = {name: v for name, line in lines for v in re.findall(r">(ahead|behind|not told apart)<", line)}
    assert verdicts == {"dm": "ahead", "worse": "behind", "even": "not told apart"}
    assert "refused: &lt;script&gt;" in text
    falling = [{**r, "higher_is_better": False} if "mean" in r else r for r in ROWS]
    assert '"behind">behind' in comparison_page([falling[0], falling[3]], "t")


def test_several_problems_stand_in_one_picture():
    here, there = (
        {"problem": "toy/a", "metric": "accuracy"},
        {"problem": "toy/b", "metric": "error", "higher_is_better": False},
    )
    rows = [
        row("dm", (0.9, 0.91, 0.92), **here),
        row("random", (0.5, 0.51, 0.52), **here),
        row("dm", (0.3, 0.31, 0.32), **there),
        row("random", (0.1, 0.11, 0.12), **there),
        {"problem": "toy/b", "method": "dsa", "ipc": 1, "error": "it has no siamese <augmentation>"},
    ]
    picture = ElementTree.fromstring(matrix(rows, "two problems"))
    words = ["".join(text.itertext()) for text in picture.findall(".//{*}text")]
    assert [w for w in words if w[0] in "+-"] == ["+0.400", "-0.200"]  # ahead in the metric's good direction
    assert [r.get("class") for r in picture.findall(".//{*}rect")] == ["cell ahead", "cell behind"]
    assert [t.text for t in picture.findall(".//{*}title")] == ["not run", "it has no siamese <augmentation>"]
    assert matrix(rows, "modalities") in comparison_page(rows, "modalities")
    assert 'class="matrix"' not in comparison_page(rows[:2], "one problem")


def test_scores_stand_by_budget_where_there_are_several():
    more = [row("dm", [0.95, 0.96, 0.94], ipc=10), row("random", [0.7, 0.71, 0.7], ipc=10)]
    text = html.unescape(comparison_page([*ROWS, *more], "toy sweep"))
    (said,) = re.findall(r'aria-label="(accuracy of convnet on image/toy by ipc: [^"]*)"', text)
    assert said.partition(": ")[2] == "dm 0.9033 at 1, 0.95 at 10; worse 0.11 at 1; even 0.5 at 1"
    assert "every budget" in text
    assert "every budget" not in comparison_page(ROWS, "toy sweep"), "there is one budget"
    alone = [{**r, "method": "random"} for r in more] + [ROWS[3]]
    assert "every budget" not in comparison_page(alone, "toy sweep"), "there is nothing beside random rows"


def test_a_panels_intervals_are_as_high_as_they_are_wide_in_the_metric():
    lines = {"a": {1: Point("a", 1.0, (0.5, 1.5)), 10: Point("a", 2.0, (1.9, 2.1))}, "b": {10: Point("b", 1.0)}}
    svg = panels(lines, {1: Point("random", 0.2, (0.1, 0.3), muted=True)}, "ipc", "accuracy")
    drawn = re.findall(r'<path d="M ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+) \n?" [^>]*style="([^"]*)"', svg)
    upright = [
        (abs(float(y) - float(w)), style) for x, y, z, w, style in drawn if x == z and "stroke-linecap: round" in style
    ]
    heights = {colour: sorted(h for h, style in upright if colour in style) for colour in ("accent", "muted")}
    assert len(heights["accent"]) == 2
    assert heights["accent"][1] / heights["accent"][0] == pytest.approx(1.0 / 0.2, rel=1e-3)
    assert [h / heights["accent"][0] for h in heights["muted"]] == pytest.approx([1.0, 1.0], rel=1e-3), "in both panels"


def test_charts_take_their_colours_from_the_page_and_share_no_ids():
    a, b = curve([3.0, 2.0, 1.0], "loss"), dots([Point("a", 1.0, (0.5, 1.5)), Point("b", 0.5, muted=True)], "accuracy")
    c = panels({"a": {1: Point("a", 1.0)}}, {1: Point("random", 0.5, muted=True)}, "ipc", "accuracy")
    for svg in (a, b, c):
        assert "var(--accent)" in svg
        assert "#0a0b0" not in svg
        ids = re.findall(r'\bid="([^"]+)"', svg)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= set(ids)
    assert not set(re.findall(r'\bid="([^"]+)"', a)) & set(re.findall(r'\bid="([^"]+)"', b))


# ---------------------------------------------------------------------------------------------------------------------
# in a browser

PROBE = """<script>addEventListener("load", () => {
const outside = e => !e.closest(".scroll, pre, svg") && e.getBoundingClientRect().right > innerWidth + 1;
const wide = [...document.querySelectorAll("main *")].filter(outside);
const table = document.querySelector("table.sorted"), heads = [...table.tHead.rows[0].cells];
const at = heads.findIndex(h => h.textContent === "mean"), first = () => table.tBodies[0].rows[0].cells[0].textContent;
heads[at].click(); const a = first(); heads[at].click(); const b = first();
const frame = document.querySelector("iframe"), audio = frame && frame.contentDocument.querySelector("audio");
document.title = JSON.stringify({wide: wide.map(e => e.tagName), page: document.documentElement.scrollWidth - innerWidth, a, b,
  framed: frame && frame.contentDocument.body.textContent.trim(), playable: audio && audio.canPlayType("audio/wav")});
});</script>"""


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("which", ["run", "comparison"])
def test_a_page_works_in_a_browser(tmp_path, which, width):
    """No error on the console, nothing wider than the window, tables that sort, a frame that shows its page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium: apt install chromium")
    players = ("players.html", '<p>a player</p><audio controls src="data:audio/wav;base64,UklGRiQAAABXQVZF"></audio>')
    text = run_page([artifact(tmp_path, players)]) if which == "run" else comparison_page(ROWS, "toy sweep")
    (tmp_path / "page.html").write_text(text.replace("</body>", f"{PROBE}</body>"))
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"
    words = [
        *flags.split(),
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},900",
        "--enable-logging=stderr",
    ]
    done = subprocess.run(
        [chromium, *words, "--virtual-time-budget=3000", "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL).group(1)))
    assert found["wide"] == []
    assert found["page"] <= 0
    if which == "comparison":
        assert {found["a"], found["b"]} == {"dm", "worse"}
    else:
        assert "a player" in found["framed"]
        assert found["playable"]
