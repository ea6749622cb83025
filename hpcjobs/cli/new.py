"""Write a template to begin with: `hpcjobs new env NAME`, an environment of your own and its test."""

import re
from pathlib import Path

import hpcjobs
from hpcjobs.cli import Parser
from hpcjobs.errors import SettingsError

EXAMPLE, ITS_CLASS = "warehouse", "Warehouse"
TEST = '''"""The environment keeps its contract, and a step does what it should."""

import numpy as np

from hpcjobs.rl.own import check, simulator
from {module} import {name}


def test_it_keeps_its_contract() -> None:
    found = check({name}, simulator("{name}", {name}, ""))
    assert found["ends"] > 0


def test_a_parcel_that_is_brought_to_the_door_ends_the_episode() -> None:
    never_slips = np.full(4, 2**32 - 1, dtype=np.uint32)
    beside_the_door_with_the_parcel, right = 30 + 24, 1
    state, reward, terminated = {name}.step(beside_the_door_with_the_parcel, right, never_slips, {name}.parameters)
    assert (state, reward, terminated) == (30 + 25, 10.0, True)
'''


def main(argv: list[str]) -> int:
    """`hpcjobs new env NAME`: write NAME.py and test_NAME.py into the current folder."""
    from hpcjobs.data.publish import publish_bytes

    parser = Parser(prog="hpcjobs new", description=__doc__)
    parser.add_argument("what", choices=("env",), help="what to write")
    parser.add_argument("name", metavar="NAME", help="what to call it, such as Harbour; its file is harbour.py")
    given = parser.parse(argv)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,39}", given.name):
        raise SettingsError(f"NAME is {given.name!r}: expected a letter, then at most 39 letters and digits")
    module, name = given.name.lower(), given.name[0].upper() + given.name[1:]
    example = (Path(hpcjobs.__file__).parent / "examples" / f"{EXAMPLE}.py").read_text()
    text = example.replace(f"examples/{EXAMPLE}.py", f"{module}.py").replace(ITS_CLASS, name)
    written = {Path(f"{module}.py"): text, Path(f"test_{module}.py"): TEST.format(module=module, name=name)}
    for path in written:
        if path.exists():
            raise SettingsError(f"{path}: is there already; choose another name, or remove it")
    for path, content in written.items():
        publish_bytes(path, content.encode())
        print(path)
    return 0
