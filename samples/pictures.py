#!/usr/bin/env python3
"""Makes the pictures of the README: `samples/pictures.py PROGRAM`, in the root of the tree.

The summary becomes an SVG. The report becomes a PNG, if `chromium` is there; otherwise the picture in the tree stays.
"""

import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from textwrap import wrap

PICTURES = Path("samples/pictures")
COLORS = {"+": "#3fb950", "!": "#d29922", "x": "#f85149", "?": "#8b949e"}


def summary(text):
    lines = text.split("\n")
    begin = next(n for n, line in enumerate(lines) if line.startswith("samples/contacts.csv"))
    verdicts = [line for line in lines[begin:begin + 60] if any(f" {sign} " in line[:14] for sign in COLORS)]
    next_steps = next(n for n, line in enumerate(lines) if line == "what to do now")
    shown = ["$ listproof verify samples/contacts.csv --world samples/world.toml -o out", *lines[:4], "", *verdicts, "",
             *[part for line in lines[next_steps:] for part in wrap(line, 100, drop_whitespace=False, subsequent_indent="     ")]]
    height = 20 * len(shown) + 30
    rows = []
    for number, line in enumerate(shown):
        color = next((COLORS[s] for s in COLORS if f" {s} " in line[:14]), "#e6edf3")
        weight = ' font-weight="bold"' if number in (0, 1) else ""
        rows.append(f'<text x="16" y="{30 + 20 * number}" fill="{color}"{weight} xml:space="preserve">{escape(line)}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 {height}" font-family="monospace" font-size="14">'
            f'<rect width="880" height="{height}" rx="8" fill="#0d1117"/>\n' + "\n".join(rows) + "\n</svg>\n")


def main():
    program = Path(sys.argv[1]).resolve()
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree("samples", f"{folder}/samples")
        run = subprocess.run([program, "verify", "samples/contacts.csv", "--world", "samples/world.toml", "-o", "out"],
                             capture_output=True, text=True, check=True, cwd=folder)
        (PICTURES / "summary.svg").write_text(summary(run.stdout or run.stderr))
        browser = shutil.which("chromium")
        if browser is None:
            print("no chromium: the picture of the report stays as it is")
            return
        target = (PICTURES / "report.png").resolve()
        subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,600",
                        f"--user-data-dir={folder}/profile", f"--screenshot={target}", f"file://{folder}/out/contacts.report.html"],
                       capture_output=True, check=True, timeout=120)


main()
