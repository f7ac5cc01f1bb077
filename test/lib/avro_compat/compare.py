#!/usr/bin/env python3
"""Compares verdicts on cases.tsv: Apache Avro's and ours must both be what stands there.

Usage: compare.py CASES PROGRAM JARS    (PROGRAM: verdicts.c compiled; JARS: directory with Avro's)
       compare.py --accept PAIRS JARS > CASES    puts Avro's verdicts behind generate.py's pairs

A case: name, reader's schema, writer's schema, verdict, rules broken.  Where Avro throws at a field whose
name and aliases are several of the writer's fields, the case is "ambiguous": incompatible for us, as for
registries.  Canonical forms of the readers' schemas must be the same, too.  Rules are compared too, but for the cases named "enum-default-field"."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def read(path):
    with open(path, encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t") for line in f]


def run(command, cases):
    text = "".join("\t".join(c[:3]) + "\n" for c in cases)
    out = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout.decode()
    answers = [line.split("\t") for line in out.splitlines()]
    if [a[0] for a in answers] != [c[0] for c in cases]:
        sys.exit(f"{command[0]} did not answer all cases in order")
    return answers


def ask_avro(jars, cases):
    return run(["java", "-XX:TieredStopAtLevel=1", "-cp", os.path.join(jars, "*"), os.path.join(HERE, "Verdicts.java")], cases)


def is_ours_right(expected, answer):
    name, verdict, rules = expected[0], expected[3], expected[4]
    answer = answer[:3]
    if verdict == "ambiguous":
        return answer[1:] == ["incompatible", "NAME_MISMATCH"]
    if name.startswith("enum-default-field"):
        return answer[1] == verdict and "READER_FIELD_MISSING_DEFAULT_VALUE" in answer[2]
    return answer[1:] == [verdict, rules]


def main():
    if sys.argv[1] == "--accept":
        cases = read(sys.argv[2])
        for case, answer in zip(cases, ask_avro(sys.argv[3], cases)):
            print(*case, *answer[1:3], sep="\t")
        return
    cases = read(sys.argv[1])
    wrong = 0
    theirs, ours = ask_avro(sys.argv[3], cases), run([sys.argv[2]], cases)
    for case, avro, answer in zip(cases, theirs, ours):
        if avro[1:3] != case[3:5] or avro[3] != answer[3] or not is_ours_right(case, answer):
            wrong += 1
            print(f"{case[0]}: expected {case[3:5]}, Avro says {avro[1:]}, we say {answer[1:]}\n  reader {case[1]}\n  writer {case[2]}")
    print(f"{len(cases)} pairs of schemas judged as Apache Avro does, {wrong} differ")
    sys.exit(1 if wrong or len(cases) < 300 else 0)


main()
