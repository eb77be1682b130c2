#!/usr/bin/env python3
"""Records what PostgreSQL 15 gives for the expressions in *.txt, beside this file.

Usage: record.py "host=.. port=.. dbname=.."   (time zone UTC, LC_COLLATE=C, LC_CTYPE=C.UTF-8)
"""
import pathlib, re, subprocess, sys

PSQL = ["psql", "-X", sys.argv[1], "-At", "-F", "\t", "-P", "null=\\N", "-v", "VERBOSITY=verbose"]
MARK = "@@next@@"

def record(expressions):
    script = "set timezone='UTC';\n" + "".join(f"\\echo {MARK}\nSELECT {it};\n" for it in expressions)
    done = subprocess.run(PSQL, input=script, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    blocks = done.stdout.split(MARK + "\n")[1:]
    assert len(blocks) == len(expressions), done.stdout
    for block in blocks:
        error = re.match(r"ERROR:  (\w{5}): (.*)", block)
        yield f"ERROR {error[1]} {error[2]}" if error else block.rstrip("\n").replace("\n", "\\n")

for path in sorted(pathlib.Path(__file__).parent.glob("*.txt")):
    lines = path.read_text().split("\n")
    wanted = [line.split("\t")[0] for line in lines if line.strip() and not line.startswith("#")]
    found = iter(record(wanted))
    path.write_text("\n".join(
        f"{line.split(chr(9))[0]}\t{next(found)}" if line.strip() and not line.startswith("#") else line
        for line in lines))
