#!/usr/bin/env python3
"""metrics.py: reads /metrics strictly, as a scraper that does not forgive would.

    metrics.py check FILE          says what is wrong with the text; nothing and exit status 0 when it is well-formed
    metrics.py grown BEFORE AFTER  says which counters have shrunk or gone; nothing and 0 when none has
    metrics.py get FILE SAMPLE     the value of one sample, named as it stands there: name{label="value"}"""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(r"^(%s)(?:\{(%s(?:,%s)*)\})? (\S+)$" % (NAME, LABEL, LABEL))
ENDINGS = {"counter": ("", "_total"), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


class Metrics:
    def __init__(self, text):
        self.wrong, self.types, self.samples = [], {}, {}
        family, seen = None, set()
        lines = text.split("\n")
        if lines[-1] != "":
            self.wrong.append("the last line does not end")
        for line in lines[:-1]:
            if line.startswith("# "):
                family = self.comment(line, family, seen)
            else:
                self.sample(line, family)
        self.check_histograms()

    def comment(self, line, family, seen):
        if line == "# EOF":
            return None
        match = re.match(r"^# (HELP|TYPE) (%s) (.+)$" % NAME, line)
        if not match:
            self.wrong.append("no comment of this kind: " + line)
            return family
        kind, name, rest = match.groups()
        if name != family and name in seen:
            self.wrong.append("the family %s comes twice" % name)
        seen.add(name)
        if kind == "TYPE":
            if rest not in ENDINGS:
                self.wrong.append("no such type: " + line)
            self.types[name] = rest
        return name

    def sample(self, line, family):
        match = SAMPLE.match(line)
        if not match:
            self.wrong.append("no sample: " + line)
            return
        name, labels, value = match.groups()
        kind = self.types.get(family)
        if kind is None or name not in [family + ending for ending in ENDINGS[kind]]:
            self.wrong.append("a sample outside of its family %s: %s" % (family, line))
        key = line.rsplit(" ", 1)[0]
        if key in self.samples:
            self.wrong.append("twice: " + key)
        try:
            self.samples[key] = float(value)
        except ValueError:
            self.wrong.append("no number: " + line)
        if labels is None and "{" in line:
            self.wrong.append("empty labels: " + line)

    def check_histograms(self):
        last = {}
        for key, value in self.samples.items():
            match = re.match(r'^(.+)_bucket\{(?:(.*),)?le="(.*)"\}$', key)
            if not match:
                continue
            name, labels, bound = match.groups()
            bound_before, before = last.get((name, labels), (float("-inf"), 0))
            if float(bound) <= bound_before or value < before:
                self.wrong.append("buckets do not grow at " + key)
            last[name, labels] = float(bound), value
        for (name, labels), (bound, value) in last.items():
            count = self.samples.get(name + "_count" + ("{%s}" % labels if labels else ""))
            if bound != float("inf") or count != value:
                self.wrong.append("%s{%s}: +Inf is %s, _count is %s" % (name, labels, value, count))

    def counters(self):
        for key, value in self.samples.items():
            name = key.split("{")[0]
            for family, kind in self.types.items():
                if kind == "counter" and name in (family, family + "_total"):
                    yield key, value
                if kind == "histogram" and name in [family + e for e in ENDINGS[kind]]:
                    yield key, value


def read(path):
    with open(path, encoding="utf-8") as file:
        return Metrics(file.read())


def main():
    verb, path = sys.argv[1:3]
    metrics = read(path)
    if verb == "check":
        wrong = metrics.wrong + ([] if metrics.samples else ["there is nothing"])
    elif verb == "grown":
        after = read(sys.argv[3]).samples
        wrong = ["%s: %s, then %s" % (key, value, after.get(key))
                 for key, value in metrics.counters() if after.get(key, -1) < value]
    else:
        print("%g" % metrics.samples[sys.argv[3]])
        return 0
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
