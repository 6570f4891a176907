"""Pages: whole, safe, and right in a real browser."""

import html
import io
import json
import queue
import random
import re
import shutil
import subprocess
import threading
import wave
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree

import pytest
import toys
from scipy import stats

from ddcore.artifact import Artifact
from ddcore.evaluation import evaluate
from ddcore.pages import comparison_page, run_page
from ddcore.pages.charts import Point, curve, dots, panels
from ddcore.pages.matrix import matrix
from ddcore.recipes import Recipe
from ddcore.report import Report, Score

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


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """One of all tests here, so that ceilings are computed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return artifact(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def page(made):
    return run_page([made])


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


def test_the_same_artifacts_give_the_same_page(made, page):
    assert run_page([made]) == page


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


def test_a_sets_own_page_runs_nothing_and_fetches_nothing(tmp_path):
    """The frame has no `allow-scripts`, and its first element is the policy, whatever the page begins with."""
    hostile = f"<!doctype html><html><head>{NASTY}</head><body>a card</body></html>"
    text = run_page([artifact(tmp_path, ("cards.html", hostile), scored=False)])
    ((sandbox, inner),) = re.findall(r'<iframe [^>]*sandbox="([^"]*)" srcdoc="([^"]*)"', text)
    assert sandbox == "allow-same-origin"
    rules = re.match(
        r'<!doctype html><meta http-equiv="Content-Security-Policy" content="([^"]*)">', html.unescape(inner)
    )
    assert rules.group(1).split("; ") == [
        "default-src 'none'",
        "img-src data:",
        "media-src data:",
        "style-src 'unsafe-inline'",
    ]
    assert NASTY not in text


def cells(text):
    """The rows of the first table by their headings."""
    heads = re.findall(r"<th[^>]*>(.*?)</th>", text.partition("<tbody>")[0].rpartition("<thead>")[2])
    body = text.partition("<tbody>")[2].partition("</tbody>")[0]
    lines = [re.findall(r"<td[^>]*>(.*?)</td>", line, re.DOTALL) for line in body.split("</tr>") if "<td" in line]
    return [dict(zip(heads, map(html.unescape, line), strict=True)) for line in lines]


def with_report(made, report):
    return replace(made, notes={**made.notes, "scores.json": json.dumps(report.to_json())})


def test_several_sets_stand_in_one_table(tmp_path, made):
    """Beside the first stands what was evaluated like it."""
    report = Report.from_json(json.loads(made.notes["scores.json"]))
    a, b = (0.7, 0.9, 0.8), (0.65, 0.8, 0.6)
    first, second = (replace(report, scores=(replace(report.scores[0], values=v),)) for v in (a, b))
    kinds = [with_report(made, one) for one in (first, second, replace(second, split="val"))]
    text = run_page([*kinds, artifact(tmp_path, name="dsa", scored=False)])
    assert "4 runs" in text
    assert text.count('<section class="run">') == 4
    lines = cells(text)
    theirs = stats.ttest_rel(b, a).confidence_interval(0.95)
    told = f"-0.1167 ({theirs.low:+.4f} to {theirs.high:+.4f})"  # the mean of -0.05, -0.1 and -0.2
    assert [line["ahead of the first, 95 % paired"] for line in lines] == ["–", told, "–", "–"]
    said = ("labels", "protocol", "epoch", "metric", "networks")
    assert [lines[1][k] for k in said] == ["ids", "short@1", "last", "accuracy of convnet", "3"]
    assert [lines[3][k] for k in said] == ["ids", "–", "–", "–", "–"]


@pytest.mark.parametrize(("higher", "transfer"), [(True, "0.625"), (False, "1.600")])
def test_transfer_stands_beside_the_networks(made, higher, transfer):
    values = {"a": 0.8, "b": 0.4, "c": 0.6}
    scores = tuple(Score("m", model, "short@1", (v,), higher_is_better=higher) for model, v in values.items())
    text = run_page([with_report(made, Report("image/toy", "dm", "short@1", scores, baselines=scores))])
    (line,) = cells(text[text.index("Across networks") :])
    assert line["transfer"] == transfer  # 0.5 / 0.8, or its inverse
    parts = dict(zip("abc", re.findall(r'style="--part: (\d\.\d{3})"', text), strict=True))
    best, worst = ("a", "b") if higher else ("b", "a")
    assert (parts[best], parts[worst]) == ("1.000", "0.000")


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
    titles = [t.text for t in picture.findall(".//{*}title")]
    assert titles[:2] == [
        "dm on toy/a: 2,600 bytes, labels: ids, 1 set",
        "dm on toy/b: 2,600 bytes, labels: ids, 1 set",
    ]
    assert titles[2:4] == ["not run", "it has no siamese <augmentation>"]
    assert [words[words.index(reason) - 1] for reason in titles[2:4]] == ["1", "2"], (
        "an image shows no title: footnotes"
    )
    assert {"ipc 1, accuracy of convnet", "ipc 1, error of convnet"} < set(words)
    assert words.count("toy@1, 2 networks a set") == words.count("epoch: last") == 2
    assert matrix(rows, "modalities") in comparison_page(rows, "modalities")
    assert 'class="matrix"' not in comparison_page(rows[:2], "one problem")


def test_a_long_name_and_a_long_reason_have_room():
    """At about 8.5 pixels a bold letter and 6 a small one."""
    long = {"problem": "toy/a", "method": "variation-neighborhoods", "ipc": 1, "error": "no meaning here " * 30}
    rows = [row("dm", (0.9, 0.91, 0.92), problem="toy/a"), row("random", (0.5, 0.51, 0.52), problem="toy/a"), long]
    picture = ElementTree.fromstring(matrix(rows, "one"))
    width, height = map(float, picture.get("viewBox").split()[2:])
    texts = [(t.get("class"), float(t.get("x")), float(t.get("y")), t.text) for t in picture.findall(".//{*}text")]
    ((_, x, _, _),) = (t for t in texts if t[3] == "0.910")
    ((_, at, _, name),) = (t for t in texts if t[3] == "variation-neighborhoods")
    assert at + 8.5 * len(name) < x
    assert all(x + 6 * len(text) <= width + 30 for kind, x, _, text in texts if text and text.startswith("no meaning"))
    assert sorted(y for _, _, y, _ in texts)[-1] < height
    assert " ".join(t[3] for t in texts if t[3] and "meaning" in t[3]).split() == long["error"].split()


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

PROBE = """<script>addEventListener("load", async () => {
const outside = e => !e.closest(".scroll, pre, svg") && e.getBoundingClientRect().right > innerWidth + 1;
const wide = [...document.querySelectorAll("main *")].filter(outside);
const table = document.querySelector("table.sorted"), heads = [...table.tHead.rows[0].cells];
const at = heads.findIndex(h => h.textContent === "mean"), first = () => table.tBodies[0].rows[0].cells[0].textContent;
heads[at].click(); const a = first(); heads[at].click(); const b = first();
const frame = document.querySelector("iframe"), audio = frame && frame.contentDocument.querySelector("audio");
if (audio) await new Promise(heard => { audio.onloadeddata = audio.onerror = heard; audio.preload = "auto"; audio.load(); });
const found = {wide: wide.map(e => e.tagName), width: innerWidth, a, b,
  page: document.documentElement.scrollWidth - innerWidth,
  framed: frame && frame.contentDocument.body.innerText.trim(), seconds: audio && audio.duration};
fetch("AWAY/found", {method: "POST", mode: "no-cors", body: JSON.stringify(found)});
});</script>"""


class Listener(ThreadingHTTPServer):
    """What a page asks for, and what the probe in it found."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.away, self.asked, self.found = f"http://127.0.0.1:{self.server_port}", [], queue.Queue()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_error(404)

    def do_POST(self):
        self.server.found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def listener():
    with Listener() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def browse(tmp_path, listener):
    """(what the probe found, what the browser logged) of a page that is so many pixels wide: a frame, as no window is as narrow
    as a phone."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium: apt install chromium")

    def visit(text, width):
        (tmp_path / "page.html").write_text(text.replace("</body>", f"{PROBE.replace('AWAY', listener.away)}</body>"))
        (tmp_path / "host.html").write_text(
            f'<!doctype html><iframe src="page.html" style="width: {width}px; height: 900px; border: 0"></iframe>'
        )
        flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
        words = [*flags.split(), "--disable-component-update", "--enable-logging=stderr", "--window-size=1400,1000"]
        place = [f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "host.html").as_uri()]
        with (tmp_path / "log").open("w") as log, subprocess.Popen([chromium, *words, *place], stderr=log) as process:
            try:
                found = listener.found.get(timeout=120)
            finally:
                process.terminate()
        return found, (tmp_path / "log").read_text()

    return visit


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("which", ["run", "comparison"])
def test_a_page_works_in_a_browser(browse, made, which, width):
    """No error on the console, nothing wider than the window, tables that sort, a frame that shows its page and plays it."""
    text = comparison_page(ROWS, "toy sweep")
    if which == "run":
        sound = io.BytesIO()
        with wave.open(sound, "wb") as tone:
            tone.setparams((1, 2, 8000, 0, "NONE", ""))
            tone.writeframes(bytes(2 * 800))
        files = {
            "set.html": b'<p>a player</p><audio controls preload="none" src="a.wav"></audio>',
            "a.wav": sound.getvalue(),
        }
        text = run_page(
            [replace(made, files={**made.files, **files}, manifest={**made.manifest, "picture": "set.html"})]
        )
    found, log = browse(text, width)
    assert "CONSOLE" not in log, log
    assert found["width"] == width
    assert found["wide"] == []
    assert found["page"] <= 0
    assert found["a"] != found["b"]
    if which == "comparison":
        assert {found["a"], found["b"]} == {"dm", "worse"}
    else:
        assert found["framed"] == "a player"
        assert found["seconds"] == pytest.approx(0.1)


def test_a_sets_own_page_reaches_nothing_in_a_browser(browse, listener, made):
    """Neither its script runs nor is anything fetched for it; what the page around it asks for would be."""
    away = listener.away
    hostile = f"""<p>a card</p><script>document.body.textContent = "ran"; fetch("{away}/script")</script>
        <img src="{away}/picture.png" onerror="document.body.textContent = 'ran'"><link rel="stylesheet" href="{away}/style">
        <iframe src="{away}/frame"></iframe><meta http-equiv="refresh" content="0; url={away}/refresh">"""
    files = {**made.files, "set.html": hostile.encode()}
    text = run_page([replace(made, files=files, manifest={**made.manifest, "picture": "set.html"})])
    found, _ = browse(text.replace("</main>", f'<img alt="" src="{away}/control.png"></main>'), 1280)
    assert found["framed"] == "a card"
    assert listener.asked == ["/control.png"]
