#!/usr/bin/env python3
"""Writes sites.txt anew: sites that people visit and whose domain is similar to one that typos are corrected to.

    pip download --no-deps --dest in pymispwarninglists
    python3 src/policy/data/refresh_sites.py in
    cargo test --test typos

It reads nothing else and downloads nothing. A site counts if both rankings have it: one counts look-ups, which typos make
too; the other counts visits of people with a browser. Written are sites whose name is one edit from that of a target with the
same suffix (two for a name of more than six letters), and the names of `sole` targets with another suffix.
"""

import datetime
import json
import pathlib
import sys
import zipfile

HERE = pathlib.Path(__file__).parent
LISTS = "pymispwarninglists/data/misp-warninglists/lists"
RANKINGS = (("tranco", "Tranco"), ("google-chrome-crux-1million", "Chrome UX Report"))


def rankings(folder):
    package = max(folder.glob("pymispwarninglists-*.whl"), key=lambda path: path.stat().st_mtime)
    with zipfile.ZipFile(package) as wheel:
        for name, title in RANKINGS:
            ranking = json.loads(wheel.read(f"{LISTS}/{name}/list.json"))
            yield f"{title} {ranking['version']}", {site.removeprefix("www.") for site in ranking["list"]}


def listed(name):
    lines = (HERE / name).read_text().splitlines()
    return {line.split(",")[0] for line in lines if line and not line.startswith("#")}


def shorter(name, times):
    """The name and what is left of it without one letter, or two."""
    names = {name}
    for _ in range(times):
        names |= {less[:i] + less[i + 1 :] for less in names for i in range(len(less))}
    return names


def edits(a, b):
    """The number of edits between two names; a swap of neighbours is one."""
    before, row = [], list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        earlier, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and (x, a[i - 2]) == (b[j - 2], y):
                row[j] = min(row[j], earlier[j - 2] + 1)
    return row[-1]


def main(folder):
    (first, first_sites), (second, second_sites) = rankings(folder)
    known = listed("targets.csv") | listed("neighbours.txt") | listed("typos.csv") | listed("disposable.txt")
    sole, near = set(), {}
    for line in (HERE / "targets.csv").read_text().splitlines():
        name, _, suffix = line.split(",")[0].partition(".")
        if suffix and len(name) > 2:
            most = 2 if len(name) > 6 else 1
            if line.endswith(",sole"):
                sole.add(name)
            for less in shorter(name, most):
                near.setdefault((less, suffix), []).append((name, most))
    kept = set()
    for site in first_sites & second_sites - known:
        name, _, suffix = site.partition(".")
        if name in sole:
            kept.add(site)
        elif site.isascii() and 2 < len(name) < 20:
            alike = {target for less in shorter(name, 2 if len(name) > 5 else 1) for target in near.get((less, suffix), ())}
            if any(edits(name, target) <= most for target, most in alike):
                kept.add(site)
    package = max(folder.glob("pymispwarninglists-*.whl")).name.split("-py3")[0]
    head = [
        "# Sites that people visit, similar to a domain of targets.csv. They are never corrected.",
        f"# Made by refresh_sites.py, not by hand. Source: {package} (BSD-3-Clause), with {first} and {second}.",
        f"# Date: {datetime.date.today()}. Names: {len(kept):,}.",
    ]
    (HERE / "sites.txt").write_text("\n".join([*head, *sorted(kept)]) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
