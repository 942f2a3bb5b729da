#!/usr/bin/env python3
"""wscases: a WebSocket server that echoes, against every case of the list that the Autobahn test suite made known, by its
numbers, and some more (letters).

    wscases --url ws://127.0.0.1:PORT/PATH [--only 6,7.7,D] [--large] [--limit OCTETS] [--strict] [--jobs N] [-v]
    wscases --list [--only ...] [--large]

The server sends each text back as a text and each binary as a binary, knows no subprotocol, may agree to
permessage-deflate, and takes messages of 16 MiB. A case is OK, FAILED, or NON-STRICT: allowed, but not as good as it
could be. Exit status 1 when one has failed, with --strict also when one is not strict.

  --large   messages as large and as many as the list has them, in place of a quick run's
  --limit   the largest message that the server takes: adds the cases of that edge (L)
  -v        a line for each case, not only for those that are not OK"""
import argparse
import collections
import concurrent.futures
import sys
import time

import closing
import deflate
import framing
import handshake
import limits
import utf8
from case import run_case


def chosen_cases(args):
    cases = framing.CASES + utf8.CASES + closing.CASES + limits.CASES + deflate.CASES + handshake.CASES
    if args.limit:
        cases += limits.beyond(args.limit) + deflate.beyond(args.limit)
    large = {case.name for case in cases if case.is_large}
    if args.large:
        cases = [case for case in cases if case.is_large or case.name not in large]
    else:
        cases = [case for case in cases if not case.is_large]
    only = args.only.split(",") if args.only else []
    return [case for case in cases if not only or any(f"{case.name}.".startswith(f"{part}.") for part in only)]


def run_all(cases, args):
    """How many of each verdict, by section."""
    counts = collections.defaultdict(collections.Counter)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        results = pool.map(lambda case: run_case(case, args.url, args.timeout), cases)
        for number, (case, (verdict, message)) in enumerate(zip(cases, results), 1):
            counts[case.name.split(".")[0]][verdict] += 1
            if args.verbose or verdict != "OK":
                mark = "not ok" if verdict == "FAILED" else "ok"
                note = f" # {verdict}: {message}" if verdict != "OK" else ""
                print(f"{mark} {number} - {case.name} {case.title}{note}", flush=True)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="ws://127.0.0.1:9001/")
    parser.add_argument("--only")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--timeout", type=float, default=20)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()
    cases = chosen_cases(args)
    if not cases:
        parser.error(f"no case is called {args.only}")
    if args.list:
        for case in cases:
            print(f"{case.name} {case.title}")
        return 0
    if args.verbose:
        print(f"1..{len(cases)}")
    begun = time.monotonic()
    counts = run_all(cases, args)
    total = sum(counts.values(), collections.Counter())
    for section, count in counts.items():
        print(f"# section {section}: " + ", ".join(f"{count[verdict]} {verdict}" for verdict in sorted(count)))
    print(f"# {total['OK']} OK, {total['NON-STRICT']} NON-STRICT, {total['FAILED']} FAILED "
          f"in {time.monotonic() - begun:.1f} s")
    return 1 if total["FAILED"] or args.strict and total["NON-STRICT"] else 0


if __name__ == "__main__":
    sys.exit(main())
