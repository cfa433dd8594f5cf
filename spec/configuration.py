"""Configurations of TLC in spec/models: what they state, and how TLC's findings compare with it.

The head of a configuration says what it is:

    \\* module: Core            the module in spec/models that TLC starts from
    \\* states: 27              the exact number of distinct states, if no property fails
    \\* fails: ElectionSafety   the property that must fail
    \\* deep                    it takes minutes
"""

import pathlib
import re

SPEC = pathlib.Path(__file__).resolve().parent
MODELS = SPEC / "models"


def head(path):
    """The fields in the head of a configuration."""
    fields = {}
    for line in path.read_text().splitlines():
        match = re.fullmatch(r"\\\* (module|states|fails|deep)(?:: (.*))?", line)
        if match:
            fields[match[1]] = match[2]
    return fields


def broken(output, path):
    """The property that fails, and the number of steps to the violation."""
    steps = len(re.findall(r"^State \d+:", output, re.M)) - 1
    match = re.search(r"Error: Invariant (\w+) is violated", output)
    if match:
        return match[1], max(steps, 0)
    match = re.search(r"Error: Action property (.*?) is violated", output)
    if match:
        # TLC names the place of a property of steps. A configuration with a bug asks for one.
        named = re.search(r"^PROPERTIES\s+(\w+)\s*$", path.read_text(), re.M)
        return (named[1] if named else match[1]), max(steps, 0)
    return None, 0


def judge(path, output, seconds):
    """Whether TLC's output is as the configuration states, and a line that says so."""
    wanted, name = head(path), path.stem
    found, steps = broken(output, path)
    counts = re.search(r"(\d+) distinct states found, 0 states left on queue", output)
    if found:
        return wanted.get("fails") == found, f"{name}: bug found by {found} in {steps} steps, {seconds:.1f} s"
    if "No error has been found" not in output or not counts:
        return False, f"{name}: TLC FAILED, {seconds:.1f} s"
    states = int(counts[1])
    line = f"{name}: EXHAUSTIVE, {states:,} distinct states, {seconds:.1f} s"
    if "fails" in wanted:
        return False, f"{line}; but {wanted['fails']} must fail"
    if "states" not in wanted:
        return False, f"{line}; but its head states no count"
    if wanted["states"] != str(states):
        return False, f"{line}; but {wanted['states']} are expected"
    return True, line
