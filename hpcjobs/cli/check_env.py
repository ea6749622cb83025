"""Check that an environment of your own keeps its contract: pure steps, states in bounds, types, flags, rewards."""

from hpcjobs.cli import Parser


def main(argv: list[str]) -> int:
    """`hpcjobs check-env FILE.py:Name`; exit code 2 when it breaks a rule, which is named with the state."""
    from hpcjobs.errors import SettingsError
    from hpcjobs.jobs._qlearning_env import in_file
    from hpcjobs.rl.own import check, simulator
    from hpcjobs.runs.code import split

    parser = Parser(prog="hpcjobs check-env", description=__doc__)
    parser.add_argument("env", metavar="FILE.py:Name", help="the environment, as `--env` of qlearning takes it")
    given = parser.parse(argv)
    file, attribute = split(given.env)
    if file is None:
        raise SettingsError(f"{given.env}: expected an environment in a file of yours, FILE.py:Name")
    made = in_file(given.env, file, attribute)
    one = simulator(f"{file.name}:{attribute}", made, "")
    found = check(made, one)
    print(
        f"{one.name}: keeps its contract in {found['steps']} random steps: {found['states']} of {one.states} states, "
        f"{len(one.actions)} actions, {found['ends']} ends, time limit {one.time_limit}"
    )
    return 0
