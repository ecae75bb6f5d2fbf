#!/usr/bin/env python3
"""Makes uts46_16.txt of Unicode's IdnaTestV2.txt: only what ToASCII, not transitional, makes of each text.

    python3 tests/idna/compact.py IdnaTestV2.txt > tests/idna/uts46_16.txt
"""

import re
import sys
import unicodedata

HEAD = """\
# What a text becomes by UTS #46, ToASCII, not transitional, all options strict; nothing behind the `;` is a refusal.
# Made by compact.py of IdnaTestV2.txt of Unicode 16.0.0, 2024-07-03; without the two lines that no UTF-8 can hold.
# © 2024 Unicode, Inc. Licence: Unicode License v3 (unicode.org/license.txt, a copy is in LICENSE-UNICODE)."""


def unescape(text):
    character = lambda match: chr(int(match[1] or match[2], 16))
    return "" if text == '""' else re.sub(r"\\u([0-9A-F]{4})|\\x\{([0-9A-F]+)\}", character, text)


def escape(character):
    number = ord(character)
    shows = unicodedata.category(character)[0] not in "CZM" and character not in ";#\\"
    if shows and unicodedata.bidirectional(character) not in ("R", "AL", "AN"):
        return character
    return f"\\u{number:04X}" if number < 0x10000 else f"\\x{{{number:X}}}"


print(HEAD)
seen = set()
for line in open(sys.argv[1], encoding="utf-8"):
    columns = [column.strip() for column in line.split("#")[0].split(";")]
    if len(columns) < 5:
        continue
    text = unescape(columns[0])
    to_unicode = unescape(columns[1]) if columns[1] else text
    ascii = unescape(columns[3]) if columns[3] else to_unicode
    is_refused = (columns[4] or columns[2] or "[]") != "[]"
    if text in seen or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        continue
    seen.add(text)
    print("".join(map(escape, text)), "" if is_refused else ascii, sep=";")
