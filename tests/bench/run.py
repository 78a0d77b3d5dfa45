"""Measures the system against the limits of its parts and prints the table of docs/PERFORMANCE.md.

Usage: run.py [--quick] [--full] [--peers] [--only REGEX] [--write]
Exits with 1 when a floor is missed, or a measurement failed.
"""

import argparse
import datetime
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import traceback

import lab as tools
import measures
import table
from peers import compare

DOCUMENT = tools.ROOT / "docs/PERFORMANCE.md"


def output_of(*command):
    if not shutil.which(command[0]):
        return "unknown"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


def facts(lab):
    """Describes the machine and the versions. Checks that commits are durable according to the server."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers",
             "max_wal_size", "data_directory")
    server = {name: lab.execute("postgres", f"SHOW {name}")[0] for name in names}
    tools.check(server["fsync"] == server["synchronous_commit"] == "on", f"commits are not durable: {server}")
    disk = output_of("df", "--output=fstype", server.pop("data_directory")).split()[-1]
    version = server.pop("server_version")
    return [
        f"{datetime.date.today()}, {model.group(1) if model else platform.machine()}, {os.cpu_count()} cores,"
        f" {int(memory.group(1)) >> 20} GiB, load average {os.getloadavg()[0]:.1f} at the start,"
        f" commit {output_of('git', '-C', tools.ROOT, 'rev-parse', '--short', 'HEAD')}",
        f"Linux {platform.release()}, PostgreSQL {version}, Redis {lab.parts.redis().info()['redis_version']},"
        f" libmicrohttpd {output_of('pkg-config', '--modversion', 'libmicrohttpd')},"
        f" {output_of('wrk', '-v').split(' [')[0]}, {output_of('cc', '--version').splitlines()[0]}",
        "PostgreSQL: " + ", ".join(f"{name} {value}" for name, value in server.items()) + f", data on {disk}",
    ]


def measure(lab, chosen):
    """Returns the rows, and whether all measurements were valid. Prints each row at once."""
    rows, good = [], True
    for name, run in chosen.items():
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        try:
            new = run(lab)
        except Exception:  # a failed measurement does not spoil the others
            traceback.print_exc()
            good = False
            continue
        rows += new
        print(table.render(new), file=sys.stderr, flush=True)
    return rows, good


def write(text, texts, marker="bench"):
    """Writes the text, if there is one, between the markers of the document, and the other texts to their files."""
    for path, content in texts.items():
        (tools.ROOT / path).write_text(content)
    if not text:
        return
    document = DOCUMENT.read_text()
    begin, end = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
    head, rest = document.split(begin)
    DOCUMENT.write_text(head + begin + text + "\n" + end + rest.split(end)[1])


def main():
    parser = argparse.ArgumentParser(prog="bench.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, good enough for tuning")
    parser.add_argument("--full", action="store_true", help="also: " + ", ".join(measures.FULL))
    parser.add_argument("--peers", action="store_true", help="instead: against the same order path in Go and Rust")
    parser.add_argument("--only", default="", metavar="REGEX", help="only these of: " + ", ".join(measures.MEASURES)
                        + "; with --peers of: " + ", ".join(compare.LOADS))
    parser.add_argument("--write", action="store_true", help="write the table into docs/PERFORMANCE.md")
    options = parser.parse_args()
    if options.peers and options.full:
        parser.error("--full says nothing of the peers")
    known = measures.MEASURES | (measures.FULL if options.full else {})
    chosen = {name: run for name, run in known.items() if re.search(options.only, name)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to stop what was started
    lab = tools.Lab(rounds=3, seconds=2) if options.quick else tools.Lab(rounds=5, seconds=3)
    try:
        lines = facts(lab)
        print("\n".join(lines), flush=True)
        if options.peers:
            versions, text, texts, good = compare.run(lab, options.only)
            lines, marker = lines + versions, "peers"
        else:
            rows, good = measure(lab, chosen)
            text, texts, marker = table.render(rows) if rows else "", lab.texts, "bench"
            good = good and not any(row.missed for row in rows)
    finally:
        lab.close()
    print("\n" + text)
    if options.write:
        write("\n".join([*(f"* {line}" for line in lines), "", text]) if text else "", texts, marker)
    sys.exit(not good)


if __name__ == "__main__":
    main()
