"""Site set-up: the user's before the system's, mistakes named by file and key, no script of strangers."""

import os
from pathlib import Path

import pytest

from hpcjobs.errors import UserError
from hpcjobs.launch import site
from hpcjobs.launch.ordering import from_toml
from hpcjobs.launch.resources import Resources

BASH = "#!/bin/bash\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and a folder for the system's set-up."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(site, "SYSTEM", tmp_path / "etc")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "etc").mkdir()
    (tmp_path / "project" / "slurm").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "home" / ".config" / "hpcjobs"


def put(path: Path, text: str = BASH) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def mistake(home: Path, text: str) -> str:
    """What is said of a site.toml that must be refused; the file is always named."""
    path = put(home / "site.toml", text)
    with pytest.raises(UserError) as refused:
        site.read_site()
    assert str(refused.value).startswith(f"{path}: ")
    return str(refused.value).removeprefix(f"{path}: ")


def test_nothing_is_set_where_there_is_no_file(home: Path) -> None:
    assert site.read_site() == site.Site()


def test_the_users_file_wins_over_the_systems(home: Path, tmp_path: Path) -> None:
    put(tmp_path / "etc" / "site.toml", 'mpi = "pmix"\n[resources]\naccount = "shared"\n')
    assert (site.read_site().mpi, site.read_site().resources) == ("pmix", {"account": "shared"})
    put(home / "site.toml", 'mpi = "pmi2"\n')
    assert (site.read_site().mpi, site.read_site().resources) == ("pmi2", {})


def test_values_take_the_form_that_sbatch_wants(home: Path) -> None:
    put(
        home / "site.toml",
        "[resources]\nnodes = 2\ngpus-per-node = 4\nmem = 4000\ntime = 01:30:00\nexclusive = true\n"
        'sbatch-arg = ["--hint=nomultithread"]\n',
    )
    assert site.read_site().resources == {
        "nodes": 2,
        "gpus_per_node": "4",
        "mem": "4000",
        "time": "01:30:00",
        "exclusive": True,
        "sbatch_arg": ("--hint=nomultithread",),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mpi = ", "not valid TOML"),
        ('mpu = "pmi2"', "unknown key 'mpu'; did you mean 'mpi'?"),
        ('account = "a"', "account belongs under the line [resources]"),
        ("mpi = 2", "expected str, got int"),
        ('mpi = "--help"', "mpi is '--help': expected what `srun --mpi=list` names, or mpiexec"),
        ('limits = "no"', "expected bool, got str"),
        ("resources = 3", "resources is 3: expected a table"),
        ('[resources]\naccounts = "a"', "[resources]: unknown key 'accounts'; did you mean 'account'?"),
        ("[resources]\nnodes = 0", "[resources]: --nodes is 0: expected int >= 1"),
        ('[resources]\ntime = "soon"', "[resources]: --time is 'soon': expected minutes"),
        ('[resources]\naccount = "--uid=0"', "[resources]: --account is '--uid=0'"),
        ('[resources]\npartition = "a\\nb"', "[resources]: --partition is 'a\\nb'"),
        ('[resources]\nmem = "1G"\nmem_per_cpu = "1G"', "[resources]: --mem and --mem-per-cpu exclude each other"),
        ('[resources]\nsbatch_arg = ["--wrap=id"]', "[resources]: --sbatch-arg='--wrap=id': not --wrap from here"),
    ],
)
def test_a_mistake_is_named_by_file_and_key(home: Path, text: str, said: str) -> None:
    assert said in mistake(home, text)


def test_a_script_in_site_toml_is_found_beside_it(home: Path) -> None:
    put(home / "site.toml", 'script = "./mine.sbatch"\n')
    assert Path(site.read_site().script) == home / "mine.sbatch"


def test_the_nearest_script_wins(home: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    packaged = site.find_script(None, "cpu", project)
    assert packaged == site.PACKAGED / "cpu.sbatch" and packaged.read_text().startswith("#!")
    for path in (tmp_path / "etc" / "cpu.sbatch", home / "cpu.sbatch", project / "slurm" / "cpu.sbatch"):
        put(path)
        assert site.find_script(None, "cpu", project) == path
    own = put(tmp_path / "own.sh")
    assert site.find_script(str(own), "cpu", project) == own
    assert site.find_script("../own.sh", "gpu", project).samefile(own)


def test_a_script_may_be_named_without_its_folder(home: Path, tmp_path: Path) -> None:
    path = put(home / "fat-nodes.sbatch")
    assert site.find_script("fat-nodes", "cpu", tmp_path / "project") == path
    with pytest.raises(UserError, match="did you mean 'fat-nodes'"):
        site.find_script("fatnodes", "cpu", tmp_path / "project")
    with pytest.raises(UserError, match=r"/nowhere/x\.sbatch: cannot be read: No such file"):
        site.find_script("/nowhere/x.sbatch", "cpu", tmp_path / "project")


def test_what_sbatch_would_not_take_is_refused_first(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the first line must be"):
        site.find_script(str(put(tmp_path / "a.sh", "echo\n")), "cpu", tmp_path)
    with pytest.raises(UserError, match="dos2unix"):
        site.find_script(str(put(tmp_path / "b.sh", "#!/bin/bash\r\necho\r\n")), "cpu", tmp_path)


def test_a_script_that_everyone_can_write_is_not_taken_unnamed(home: Path, tmp_path: Path) -> None:
    path = put(tmp_path / "project" / "slurm" / "cpu.sbatch")
    path.chmod(0o666)
    with pytest.raises(UserError, match="can be written by everyone"):
        site.find_script(None, "cpu", tmp_path / "project")
    assert site.find_script(str(path), "cpu", tmp_path / "project") == path
    path.chmod(0o644)
    path.parent.chmod(0o777)
    with pytest.raises(UserError, match="can be written by everyone"):
        site.find_script(None, "cpu", tmp_path / "project")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_script_of_another_user_is_not_taken_unnamed(home: Path, tmp_path: Path) -> None:
    path = put(tmp_path / "project" / "slurm" / "cpu.sbatch")
    os.chown(path, 65534, 65534)
    with pytest.raises(UserError, match="belongs to nobody; if you trust it, name it: --script"):
        site.find_script(None, "cpu", tmp_path / "project")


def test_the_users_folder_is_where_the_desktops_rules_put_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home / "site.toml", 'mpi = "pmi2"\n')
    put(tmp_path / "elsewhere" / "hpcjobs" / "site.toml", 'mpi = "pmix"\n')
    assert site.read_site().mpi == "pmi2"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
    assert site.read_site().mpi == "pmix"


def test_the_slurm_table_of_a_job_takes_what_site_toml_takes(home: Path, tmp_path: Path) -> None:
    lines = 'time = 00:10:00\nmem = 4000\ngpus-per-node = 2\nnodes = 2\nmax-requeues = 3\nscript = "./own.sbatch"\n'
    toml = put(tmp_path / "job.toml", f"clusters = 4\n[slurm]\n{lines}")
    assert from_toml(toml) == {
        "time": "00:10:00",
        "mem": "4000",
        "gpus_per_node": "2",
        "nodes": 2,
        "max_requeues": 3,
        "script": str(tmp_path / "own.sbatch"),
    }
    assert from_toml(put(tmp_path / "named.toml", '[slurm]\nscript = "gpu"\n')) == {"script": "gpu"}
    assert from_toml(put(tmp_path / "plain.toml", "clusters = 4\n")) == from_toml(None) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[slurm]\ntime = "soon"', "[slurm]: --time is 'soon': expected minutes"),
        ("[slurm]\nmen = 4000", "[slurm]: unknown key 'men'; did you mean 'mem'?"),
        ("[slurm]\nmax_requeues = -1", "[slurm]: --max-requeues is -1: expected int >= 0"),
        ("[slurm]\nmem-per-cpu = 1\nmem_per_cpu = 2", "[slurm]: 'mem_per_cpu' is there with - and with _"),
        ("slurm = 3", "slurm is 3: expected a table, under the line [slurm]"),
    ],
)
def test_a_mistake_in_the_slurm_table_is_named_by_file_and_key(
    home: Path, tmp_path: Path, text: str, said: str
) -> None:
    toml = put(tmp_path / "job.toml", text)
    with pytest.raises(UserError) as refused:
        from_toml(toml)
    assert str(refused.value).startswith(f"{toml}: {said}")


def test_header_lines_of_a_script_count_until_its_first_command() -> None:
    script = (
        "#!/bin/bash\n# words\n#SBATCH --time=02:00:00\n#SBATCH -p gpu\n#SBATCH --mem 40G  # a comment\n\n"
        "#SBATCH --nodes=2-4\n#SBATCH --exclusive\n#SBATCH -N3\n#SBATCH --signal=B:USR1@120\n"
        '#SBATCH --account="mine"\nset -u\n#SBATCH --qos=never\n'
    )
    assert site.header(script) == {
        "time": "02:00:00",
        "partition": "gpu",
        "mem": "40G",
        "exclusive": True,
        "nodes": 3,
        "account": "mine",
    }


def test_options_win_over_the_header_of_the_script() -> None:
    script = "#!/bin/bash\n#SBATCH --time=60\n#SBATCH --mem=4G\n#SBATCH --partition=short\n"
    assert site.with_header(Resources(mem_per_cpu="1G", time="5"), script) == Resources(
        mem_per_cpu="1G", time="5", partition="short"
    )


def test_the_header_of_every_script_of_ours_is_read() -> None:
    for path in site.PACKAGED.glob("*.sbatch"):
        assert site.header(path.read_text())["time"] == "01:00:00"
